"""Networks of the mesh that a host has something of its own in: judged before anything there is changed. Pure.

Refused is what would hide machines that the host is with, or be hidden by them: networks of its interfaces, in which
direction ever they overlap, its routers, and another route to the very same network. A default route, or one to a wider
network, is what a mesh's more specific routes are for. A route to a part of a mesh's network stays what it is, an
exception, and is told. See docs/decisions/overlaps.md.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from typing import Any

from infra.hosts.network import METRIC, PROTOCOLS, lan_names
from infra.hosts.network import Network as Links
from infra.hosts.routing import LOCAL, MAIN, Route, Routing, Rule
from wgnode.topology.model import Network


@dataclass(frozen=True)
class Wanted:
    """A network that is to be the gateway's to reach, and `whose` it is: "site 'cabin'"."""

    network: Network
    whose: str = "the mesh"

    def __str__(self) -> str:
        return f"{self.network} of {self.whose}"


@dataclass(frozen=True)
class Held:
    """What the host has; `text` says where, `address` is its own one there."""

    network: Network
    text: str
    address: IPv4Address | IPv6Address | None = None


@dataclass(frozen=True)
class Overlap:
    wanted: Wanted
    held: Held


@dataclass(frozen=True)
class Verdict:
    """`refused` can't be; `told` works, but not for all."""

    refused: tuple[Overlap, ...] = ()
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class There:
    """A host's links and routing. `own` are those of the gateway that is judged, which count as nobody's.

    `isolated`: interfaces and tables of VRFs that neither LAN nor uplink is in.
    """

    links: tuple[Mapping[str, Any], ...]
    routing: Routing
    own: Links
    isolated: frozenset[str] = field(
        default=frozenset()
    )  # interfaces and tables of VRFs that LAN and uplink are not in

    @classmethod
    def of(cls, links: str, routing: Routing, own: Links) -> There:
        found = json.loads(links)
        return cls(tuple(found), routing, own, frozenset(_isolated(found, own)))


def judge(wanted: Iterable[Wanted], host: There) -> Verdict:
    """Networks that are wanted overlap no other one of them: the mesh has seen to that."""
    index = _Index(wanted)
    refused = [*_same_places(index, host), *_same_routes(index, host)]
    seen: dict[tuple[Network, Network], Overlap] = {}
    for overlap in refused:
        seen.setdefault((overlap.wanted.network, overlap.held.network), overlap)
    bad = {overlap.wanted.network for overlap in seen.values()}
    told = [*_twins(host), *_exceptions(index, host, bad), *_passed_over(index, host, bad)]
    return Verdict(tuple(seen.values()), tuple(dict.fromkeys(told)))


def connected(host: There) -> Iterator[Held]:
    """The networks that machines are in beside the host, from its addresses and from what the networks told."""
    for link in host.links:
        name = link["ifname"]
        if name in host.isolated or name == host.own.paths.transit_tap:
            continue
        for entry in link["addr_info"]:
            network = _network_of(entry)
            if not (network.is_loopback or network.is_link_local):
                text = f"{name} has {entry['local']}/{entry['prefixlen']}"
                yield Held(network, text, ip_address(entry["local"]))
    for route in _routes(host):
        if route.connected or (route.kind == "local" and route.protocol != "kernel"):
            yield Held(route.to, f"it has the route {route}")


def near(host: There) -> list[Network]:
    """The networks in which the host reaches machines of its LAN without a router: of its addresses, or by a route."""
    nets = [_network_of(entry) for link in _lan_links(host) for entry in link["addr_info"]]
    on_link = [route.to for route in _routes(host) if route.device in lan_names(host.own) and not route.gateways]
    return nets + [network for network in on_link if network.prefixlen]


def _network_of(entry: Mapping[str, Any]) -> Network:
    """Of a point-to-point address, the other end's."""
    return ip_interface(f"{entry.get('address', entry['local'])}/{entry['prefixlen']}").network


def _twins(host: There) -> Iterator[str]:
    """Other interfaces in the very network of the LAN: the host has them so already, and it may be one wire."""
    lan = {_network_of(entry): link["ifname"] for link in _lan_links(host) for entry in link["addr_info"]}
    for held in connected(host):
        name = held.text.partition(" ")[0]
        elsewhere = held.address is not None and name not in lan_names(host.own)
        if elsewhere and held.network.num_addresses > 1 and held.network in lan:
            yield (
                f"{held.text}, and {lan[held.network]} is in {held.network} too: by which of the two it finds the LAN's"
                " machines is chance; give the LAN a network of its own"
            )


def _same_places(index: _Index, host: There) -> Iterator[Overlap]:
    for held in connected(host):
        for wanted in index.overlapping(held.network):
            yield Overlap(wanted, held)
    for route in _routes(host):
        for hop in route.gateways:
            for wanted in index.overlapping(_single(hop)):
                yield Overlap(wanted, Held(_single(hop), f"{hop} is the next hop of its route {route}"))


def _same_routes(index: _Index, host: There) -> Iterator[Overlap]:
    """One with a worse metric than ours is a fallback, one to our gateway says what ours says."""
    hops = {ip_network(to): ip_address(via) for to, via in host.own.routes.items()}
    for route in _routes(host):
        harmless = (route.table == MAIN and _behind(route)) or route.gateways == (hops.get(route.to),)
        if route.kind in _SENDING and not _another_gateways(route) and not harmless:
            for wanted in index.overlapping(route.to):
                if wanted.network == route.to:
                    yield Overlap(wanted, Held(route.to, f"it has the route {route}"))


def _behind(route: Route) -> bool:
    return route.metric > METRIC


def _exceptions(index: _Index, host: There, bad: set[Network]) -> Iterator[str]:
    found: dict[Wanted, list[Route]] = {}
    for route in _routes(host):
        if route.kind in _SENDING and not route.connected:
            for wanted in index.overlapping(route.to):
                if route.to.prefixlen > wanted.network.prefixlen and wanted.network not in bad:
                    found.setdefault(wanted, []).append(route)
    for wanted, routes in found.items():
        yield f"of {wanted}, what the host's own route {_first(routes)} is for goes there, not into the mesh"


def _first(ones: Sequence[object]) -> str:
    return f"{ones[0]}" + (f" (and {len(ones) - 1} more)" if len(ones) > 1 else "")


def _passed_over(index: _Index, host: There, bad: set[Network]) -> Iterator[str]:
    """Where rules send the LAN's packets to other tables first, whose routes ours in the main table don't reach."""
    lan = [_network_of(entry) for link in _lan_links(host) for entry in link["addr_info"] if entry["scope"] == "global"]
    names = set(lan_names(host.own))
    for version in (4, 6):
        for rule in sorted(host.routing.rules, key=lambda rule: rule.priority):
            if rule.to.version != version or rule.table == LOCAL:
                continue
            if rule.table == MAIN and rule.suppressed < 1 and _for_all(rule, lan, names):
                break
            if rule.table != MAIN and _for_all(rule, lan, names):
                yield from _passed_by(rule, index, host, bad)


def _passed_by(rule: Rule, index: _Index, host: There, bad: set[Network]) -> Iterator[str]:
    if rule.action in _SENDING:
        routes = [Route(rule.to, kind=rule.action, table="")]
    else:
        tables = (route for route in _routes(host) if route.table == rule.table and route.to.version == rule.to.version)
        routes = [route for route in tables if route.kind in _SENDING and route.to.prefixlen > rule.suppressed]
    for route in routes:
        hidden = [w for w in index.overlapping(route.to) if w.network not in bad and _overlap(w.network, rule.to)]
        hidden = [w for w in hidden if route.to.prefixlen < w.network.prefixlen or route.to == w.network]
        if hidden:
            yield (
                f"the host's rule `{rule.text}` comes before its main table and has packets of the LAN to"
                f" {_first(hidden)} go by `{route}`, not into the mesh; `ip rule add to {hidden[0].network} lookup main"
                f" priority {max(rule.priority - 1, 1)}` would come before it"
            )


def _for_all(rule: Rule, lan: list[Network], names: set[str]) -> bool:
    """Whether it is for an ordinary packet that comes from the LAN."""
    from_lan = rule.source.prefixlen == 0 or any(_overlap(network, rule.source) for network in lan)
    fits = rule.ordinary and from_lan and (not rule.interface or rule.interface in names)
    return fits != rule.inverted


def _lan_links(host: There) -> list[Mapping[str, Any]]:
    names = lan_names(host.own)
    return [link for link in host.links if link["ifname"] in names]


_SENDING = ("unicast", "blackhole", "unreachable", "prohibit", "local")
"""Kinds of routes, and actions of rules, at which the search for one ends."""


def _routes(host: There) -> Iterator[Route]:
    """Those of others that ours can meet, without what every host has."""
    for route in host.routing.routes:
        ours = route.protocol == str(host.own.protocol) or route.device == host.own.paths.transit_tap
        own_address = route.table == LOCAL and (route.kind != "local" or route.protocol == "kernel")
        if not (ours or own_address or route.table in host.isolated or route.device in host.isolated):
            yield route


def _another_gateways(route: Route) -> bool:
    """Told by the records of the host's gateways (host_checks.require_own_routes)."""
    return route.protocol.isdecimal() and int(route.protocol) in PROTOCOLS


def _isolated(links: Iterable[Mapping[str, Any]], own: Links) -> Iterator[str]:
    kinds = {link["ifname"]: link.get("linkinfo", {}) for link in links}
    masters = {link["ifname"]: link.get("master") for link in links}
    ours = {masters.get(name) for name in (own.uplink, *lan_names(own))}
    for name, info in kinds.items():
        if info.get("info_kind") == "vrf" and name not in ours:
            yield str(info.get("info_data", {}).get("table", name))
            yield name
            yield from (port for port, master in masters.items() if master == name)


def _single(address: Any) -> Network:
    return ip_interface(address).network


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


class _Index:
    """Networks apart from each other, so that those that overlap one are found without looking at all."""

    def __init__(self, wanted: Iterable[Wanted]) -> None:
        self._by_version: dict[int, tuple[list[Wanted], list[int], list[int]]] = {}
        ordered = sorted(wanted, key=lambda one: int(one.network.network_address))
        for version in (4, 6):
            ones = [one for one in ordered if one.network.version == version]
            starts = [int(one.network.network_address) for one in ones]
            self._by_version[version] = ones, starts, [int(one.network.broadcast_address) for one in ones]

    def overlapping(self, network: Network) -> list[Wanted]:
        ones, starts, ends = self._by_version[network.version]
        first = bisect_left(ends, int(network.network_address))
        return ones[first : bisect_right(starts, int(network.broadcast_address))]
