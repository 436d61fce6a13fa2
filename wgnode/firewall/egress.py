"""How devices reach the internet: each by a public address of its own, one to one, or by the host's. Pure.

A packet is a device's where it comes by the link to the gateway, whose data plane has proved its source, and from one
of the addresses named here; whoever else sends from such an address does not leave by the uplink. Which address is
which is in named sets and maps, so that the rules are few however many devices there are. See docs/decisions/egress.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import TYPE_CHECKING, Any

from wgnode.firewall.expressions import (
    ACCEPT,
    DROP,
    PASSED,
    Expression,
    NamedSet,
    Network,
    Rule,
    coming_from,
    going_to,
    match,
    merged,
    payload,
    prefix,
    set_of,
)
from wgnode.firewall.unknown import PRIVATE, SHARED

if TYPE_CHECKING:
    from wgnode.firewall.rules import Firewall

Address = IPv4Address | IPv6Address
NO_INTERNET: tuple[Network, ...] = (
    *PRIVATE,
    SHARED,
    *map(ip_network, ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "ff00::/8")),  # RFC 6890, multicast
)
"""Destinations that devices do not reach by the uplink, whatever lies there."""
_WORDS = {
    "egress": "leaves",
    "egress-out": "as {}",
    "egress-in": "is behind {}",
    "egress-open": "open at {}",
    "egress-host": "as the host",
}
_BACK = ("egress-in", "egress-open")
SETS = frozenset(f"{kind}-v{version}" for kind in _WORDS for version in (4, 6))


@dataclass(frozen=True)
class Leaving:
    """A device's `address` in the LAN, and what it is outside: `public`, or the host's where that is None.

    `is_open`: others may begin at `public`; the gateway judges who and what.
    """

    name: str
    address: Address
    public: Address | None = None
    is_open: bool = False


@dataclass(frozen=True)
class Egress:
    """`lan` is the host's interface in the LAN, by which devices are reached."""

    lan: str
    devices: tuple[Leaving, ...]

    def of(self, version: int) -> list[Leaving]:
        return [one for one in self.devices if one.address.version == version]

    @property
    def versions(self) -> list[int]:
        return sorted({one.address.version for one in self.devices})


def sets(egress: Egress | None) -> Iterator[NamedSet]:
    """All devices; those with an address of their own, there and back; those that others may reach; all others."""
    for version in egress.versions if egress else ():
        devices = egress.of(version) if egress else []
        own = [(str(one.address), str(one.public), one.is_open) for one in devices if one.public is not None]
        named: dict[str, dict[str, str | None]] = {
            "": {str(one.address): None for one in devices},
            "-out": {address: public for address, public, _ in own},
            "-in": {public: address for address, public, _ in own},
            "-open": {public: address for address, public, is_open in own if is_open},
            "-host": {str(one.address): None for one in devices if one.public is None},
        }
        for what, elements in named.items():
            if elements:
                yield NamedSet(f"egress{what}-v{version}", version, elements)


def described(found: Iterable[NamedSet], egress: Egress | None) -> dict[str, str]:
    """What becomes of each address, by the device's name and the address; of who is not known, by the address."""
    said: dict[str, list[str]] = {}
    kinds = list(_WORDS)
    for one in sorted(found, key=lambda one: kinds.index(one.kind)):
        for left, right in one.elements.items():
            address, public = (str(right), left) if one.kind in _BACK else (left, right)
            said.setdefault(address, []).append(_WORDS[one.kind].format(public))
    names = {str(one.address): one.name for one in egress.devices} if egress else {}
    return {f"{names.get(address, '')} {address}".strip(): ", ".join(words) for address, words in said.items()}


def changed(before: Iterable[NamedSet], after: Iterable[NamedSet]) -> list[str]:
    """The addresses, inside and outside, that are not translated any more as they were: flows of then go on as they
    began. Who did not leave before has none."""
    was, now = ({(one.name, *each) for one in each_of for each in one.elements.items()} for each_of in (before, after))
    return sorted({address for _, *pair in was - now for address in pair if address is not None})


def behind(before: Iterable[NamedSet], after: Iterable[NamedSet]) -> dict[str, str | None]:
    """The public addresses that are another device's than before, and whose; None for nobody's."""
    was, now = (_elements(each, "egress-in") for each in (before, after))
    return {public: now.get(public) for public in {**was, **now} if was.get(public) != now.get(public)}


def _elements(found: Iterable[NamedSet], kind: str) -> dict[str, str | None]:
    return {key: to for one in found if one.kind == kind for key, to in one.elements.items()}


def arriving(firewall: Firewall) -> Iterator[Rule]:
    """Before the choice of a way: a device's public address, from the LAN, from other devices, and from outside where
    it is open."""
    for named in sets(firewall.egress):
        lan = firewall.egress.lan if firewall.egress else ""
        sides = {"egress-in": ("lan", "gateway"), "egress-open": ("uplink",)}.get(named.kind, ())
        interfaces = {"lan": lan, "gateway": firewall.transit_interface, "uplink": firewall.uplink}
        for side in sides:
            dnat = _translation("dnat", named, "daddr")
            yield Rule(f"egress-dnat-{side}-v{named.version}", (coming_from(interfaces[side]), dnat))


def leaving(firewall: Firewall) -> Iterator[Rule]:
    """The device's own address, also towards another's public one; who is in the LAN goes there as the host, since its
    answers would come from elsewhere."""
    if (egress := firewall.egress) is None:
        return
    gateway, out, lan = (
        coming_from(firewall.transit_interface),
        going_to(firewall.uplink),
        going_to(egress.lan),
    )
    there = {named.name: named for named in sets(egress)}
    for version in egress.versions:
        if named := there.get(f"egress-out-v{version}"):
            snat = _translation("snat", named, "saddr")
            yield Rule(f"egress-snat-v{version}", (gateway, out, snat))
            yield Rule(f"egress-snat-between-v{version}", (gateway, lan, _translated(), snat))
            of_lan = (coming_from(egress.lan), lan, _translated(), _in("daddr", "egress", version))
            yield Rule(f"egress-lan-v{version}", (*of_lan, {"masquerade": None}))
        if f"egress-host-v{version}" in there:
            by_host = (_in("saddr", "egress-host", version), {"masquerade": None})
            yield Rule(f"egress-masquerade-v{version}", (gateway, out, *by_host))
            yield Rule(f"egress-masquerade-between-v{version}", (gateway, lan, _translated(), *by_host))
        # Nobody leaves untranslated, should an element be missing.
        yield Rule(f"egress-none-v{version}", (gateway, out, _in("saddr", "egress", version), DROP))


def forwarded(firewall: Firewall) -> Iterator[Rule]:
    """What comes by the link to the gateway."""
    if (egress := firewall.egress) is None:
        return
    gateway = coming_from(firewall.transit_interface)
    for version in egress.versions:
        device = (gateway, _in("saddr", "egress", version))
        nets = [prefix(one) for one in merged(one for one in NO_INTERNET if one.version == version)]
        internet = match(payload(_family(version), "daddr"), set_of(nets), "!=")
        yield Rule(f"forward-egress-v{version}", (going_to(firewall.uplink), *device, internet, ACCEPT))
        yield Rule(f"forward-egress-between-v{version}", (going_to(egress.lan), *device, _translated(), ACCEPT))


def refused(firewall: Firewall) -> Iterator[Rule]:
    """A device's address as source of what is not the gateway's."""
    for version in firewall.egress.versions if firewall.egress else ():
        other = match({"meta": {"key": "iifname"}}, firewall.transit_interface, "!=")
        source = _in("saddr", "egress", version)
        yield Rule(f"forward-egress-spoofed-v{version}", (going_to(firewall.uplink), other, source, DROP))


def let_in(firewall: Firewall) -> Iterator[Rule]:
    """From outside, to those that are open."""
    if (egress := firewall.egress) is None:
        return
    for version in egress.versions:
        if open_ones := [str(one.address) for one in egress.of(version) if one.is_open and one.public]:
            to = match(payload(_family(version), "daddr"), set_of(open_ones))
            way = (coming_from(firewall.uplink), going_to(egress.lan), to, _translated())
            yield Rule(f"forward-egress-open-v{version}", (*way, *PASSED))


def _translation(kind: str, named: NamedSet, field: str) -> Expression:
    family = _family(named.version)
    return {kind: {"family": family, "addr": {"map": {"key": payload(family, field), "data": f"@{named.name}"}}}}


def _in(field: str, kind: str, version: int) -> Expression:
    return match(payload(_family(version), field), f"@{kind}-v{version}")


def _translated() -> Expression:
    status: Mapping[str, Any] = {"ct": {"key": "status"}}
    return match(dict(status), "dnat", "in")


def _family(version: int) -> str:
    return "ip" if version == 4 else "ip6"
