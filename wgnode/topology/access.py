"""A site's access policy, compiled of what its groups say, the mesh and the site's own addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_interface, ip_network

from wgnode.policy.model import NOTHING, Class, Policy, Rule
from wgnode.policy.written import spelled
from wgnode.topology.egress import NONE
from wgnode.topology.groups import REACH, Group, GroupRule
from wgnode.topology.model import Network, Topology
from wgnode.topology.networks import within
from wgnode.topology.users import Device, Users

EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}
SPECIAL = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
    *("::/127", "::ffff:0:0/96", "64:ff9b:1::/48", "100::/64", "fc00::/7", "fe80::/10", "ff00::/8"),
)
"""Nobody's in the internet (RFC 6890 and IANA's registries of special-purpose addresses). Those for documentation are
not among them: no router has them, and tests take them for the internet."""


def class_numbers(devices: Iterable[Device]) -> dict[tuple[str, ...], int]:
    """By the groups of devices: whoever is in the same ones has the same rules."""
    members = sorted({one.groups for one in devices})
    return {groups: number for number, groups in enumerate(members, NOTHING + 1)}


def compiled(
    devices: Sequence[Device], groups: Mapping[str, Group], topology: Topology, own: Iterable[str], known: Iterable[str]
) -> Policy | None:
    """None where nobody is to be judged. `own` are addresses of gateway and host, `known` other networks that are not
    the internet. All names are known."""
    if not devices:
        return None
    lans = {name: tuple(map(str, map(ip_network, site.lans))) for name, site in topology.sites.items()}
    there = _There(class_numbers(devices), lans, tuple(map(str, topology.tunnel)))
    classes = [Class()]
    for members in there.numbers:
        named = [groups[name] for name in members]
        classes.append(Class(_merged(there.outgoing(named, groups)), _merged(there.incoming(named))))
    every = {*known, *there.all_lans, *there.tunnel, *SPECIAL}
    ours = {spelled(ip_interface(one).ip) for one in own}
    return Policy(tuple(classes), _sorted(every), tuple(sorted(ours, key=_place)))


def ways(topology: Topology, home: str, people: Users, device: Device) -> list[str]:
    """Networks that a device is to send to by its tunnel, and to hear of there: the LANs of its home, which has its
    address, then what its groups allow either way; everything where that is the internet and its home leads there. Of
    the families that it has addresses of. All names are known."""
    versions = {ip_address(text).version for text in device.addresses}
    named = [people.groups[name] for name in device.groups]
    rules = [rule for group in named for rule in group.rules]
    whole = [group for group in named if group.reach is None]
    if device.egress != NONE and (any(one.internet for one in whole) or any(one.internet for one in rules)):
        return [EVERYTHING[version] for version in sorted(versions)]
    sites = topology.sites if whole else {site for rule in rules for site in rule.sites}
    lans = [lan for site in (home, *sorted({*sites} - {home})) for lan in topology.sites[site].lans]
    found: list[Network] = []
    for net in map(ip_network, (*lans, *_sorted(text for rule in rules for text in rule.networks))):
        if net.version in versions and not any(within(net, other) for other in found):
            found.append(net)
    return list(map(str, found))


class _There:
    """Classes by their groups, LANs by their sites, and the tunnel's networks."""

    def __init__(
        self, numbers: Mapping[tuple[str, ...], int], lans: Mapping[str, tuple[str, ...]], tunnel: tuple[str, ...]
    ) -> None:
        self.numbers, self.lans, self.tunnel = numbers, lans, tunnel
        self.all_lans = tuple(lan for each in lans.values() for lan in each)

    def outgoing(self, named: Iterable[Group], groups: Mapping[str, Group]) -> Iterator[Rule]:
        """What the groups' members may open; the last are what other groups let them open to their devices."""
        names = set()
        for group in named:
            names.add(group.name)
            if group.reach is None:
                everybody = tuple(self.numbers.values())
                yield Rule(f"groups.{group.name}.{REACH}", _sorted(self.all_lans), everybody, group.internet)
            yield from (self._rule(one, one.groups) for one in group.reach or ())
        for other in groups.values():
            for one in other.reachable_from or ():
                if names.intersection(one.groups):
                    yield Rule(one.id, (), self._classes((other.name,)), False, one.protocols, one.ports)

    def incoming(self, named: Iterable[Group]) -> Iterator[Rule]:
        """What may be opened to the groups' members from elsewhere than a device."""
        for group in named:
            if group.reachable_from is None and group.reach is None:
                yield Rule(f"groups.{group.name}.{REACH}", _sorted((*self.all_lans, *self.tunnel)))
            for one in group.reachable_from or ():
                if one.networks or one.sites or one.internet:
                    yield self._rule(one, ())

    def _rule(self, one: GroupRule, groups: tuple[str, ...]) -> Rule:
        reached = _sorted((*one.networks, *(lan for site in one.sites for lan in self.lans[site])))
        return Rule(one.id, reached, self._classes(groups), one.internet, one.protocols, tuple(sorted(one.ports)))

    def _classes(self, groups: Iterable[str]) -> tuple[int, ...]:
        wanted = set(groups)
        return tuple(number for members, number in self.numbers.items() if wanted.intersection(members))


def unknown_sites(topology: Topology, name: str, groups: Iterable[Group]) -> Iterator[str]:
    """What is to be said of sites that rules name and the mesh has not."""
    for group in groups:
        for rule in group.rules:
            for site in rule.sites:
                if site not in topology.sites:
                    known = ", ".join(sorted(topology.sites))
                    yield f"site {name!r}: {rule.id}: there is no site {site!r} in the mesh (its sites: {known})"


def _merged(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Without those that are there already: a group may be reached by two others' members in one."""
    return tuple(dict.fromkeys(rules))


def _sorted(networks: Iterable[str]) -> tuple[str, ...]:
    made = {ip_network(text) for text in networks}
    ordered = sorted(made, key=lambda network: (network.version, int(network.network_address), network.prefixlen))
    return tuple(map(spelled, ordered))


def _place(text: str) -> tuple[int, int]:
    address = ip_address(text)
    return address.version, int(address)
