"""What groups in a stack file allow, read as a person would: slowly, from the file, with nothing compiled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

LANS = {"berlin": ("10.1.0.0/24", "fd00:10:1::/64"), "cabin": ("10.2.0.0/24", "fd00:10:2::/64")}
TUNNEL = ("10.99.0.0/24", "fd00:99::/64")
NUMBERS = {"tcp": {6}, "udp": {17}, "icmp": {1, 58}}
PRIVATE = ("10.0.0.0/8", "fc00::/7", "172.16.0.0/12", "224.0.0.0/4")


class Reading:
    """`groups` as in the file, `members` the groups of each device, `addresses` whose address is whose, `own` those of
    gateway and host."""

    def __init__(
        self,
        groups: Mapping[str, Any],
        members: Mapping[str, Sequence[str]],
        addresses: Mapping[str, str],
        own: Sequence[str],
    ) -> None:
        self.groups, self.members, self.addresses, self.own = groups, members, addresses, own

    def may_send(self, device: str, destination: str, protocol: int, port: int) -> bool:
        """Whether the device may open that."""
        receiver = self.addresses.get(destination)
        for name in self.members[device]:
            said = self.groups[name].get("reach") or []
            if said == "all":
                if receiver or (_within(destination, _lans()) and destination not in self.own):
                    return True
                continue
            for rule in said:
                if _fits(rule, protocol, port) and self._names(rule, destination, receiver, own=self.own):
                    return True
        return receiver is not None and self._lets_in(device, receiver, protocol, port)

    def may_receive(self, device: str, source: str, protocol: int, port: int) -> bool:
        """Whether that may be opened to the device, from elsewhere than a tunnel."""
        if source in self.addresses:
            return False
        for name in self.members[device]:
            said = self.groups[name].get("reachableFrom")
            if said is None and self.groups[name].get("reach") == "all" and _within(source, [*_lans(), *TUNNEL]):
                return True
            if any(_fits(rule, protocol, port) and self._names(rule, source, None, own=()) for rule in said or []):
                return True
        return False

    def _lets_in(self, sender: str, receiver: str, protocol: int, port: int) -> bool:
        return any(
            _fits(rule, protocol, port) and set(rule.get("groups", ())) & set(self.members[sender])
            for name in self.members[receiver]
            for rule in self.groups[name].get("reachableFrom") or []
        )

    def _names(self, rule: Mapping[str, Any], address: str, device: str | None, own: Sequence[str]) -> bool:
        if device is not None:
            return bool(set(rule.get("groups", ())) & set(self.members[device]))
        named = [*rule.get("networks", ()), *(lan for site in rule.get("sites", ()) for lan in LANS[site])]
        if address in own:
            return any(ip_network(one).num_addresses == 1 and _within(address, [one]) for one in named)
        if _within(address, named):
            return True
        return bool(rule.get("internet")) and address not in self.own and not _within(address, [*_lans(), *PRIVATE])


def _fits(rule: Mapping[str, Any], protocol: int, port: int) -> bool:
    said = rule.get("protocol")
    if said is not None and protocol not in NUMBERS.get(said, {said}):
        return False
    if "ports" not in rule:
        return True
    ends = (str(one).split("-") for one in rule["ports"])
    return any(int(end[0]) <= port <= int(end[-1]) for end in ends)


def _lans() -> list[str]:
    return [lan for each in LANS.values() for lan in each]


def _within(address: str, networks: Sequence[str]) -> bool:
    return any(_in(address, network) for network in networks)


def _in(address: str, network: str) -> bool:
    return ip_address(address) in ip_network(network)


def addresses(devices: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Whose each is, of what each device has."""
    for device, networks in devices.items():
        for network in networks:
            yield network.partition("/")[0], device
