"""The networks that a host is in and routes to, beside a gateway's own, and those that a gateway is to reach. Pure."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from typing import Any

from pulumi_wgnode.hosts.networks.network import Network as Links
from pulumi_wgnode.hosts.networks.network import lan_names
from pulumi_wgnode.hosts.networks.routing import LOCAL, Route, Routing
from wgnode.topology.model import Network

SENDING = ("unicast", "blackhole", "unreachable", "prohibit", "local")
"""Kinds of routes, and actions of rules, at which the search for one ends."""


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
class There:
    """A host's links and routing. `own` are those of the gateway that is judged, which count as nobody's.

    `isolated`: interfaces and tables of VRFs that neither LAN nor uplink is in.
    """

    links: tuple[Mapping[str, Any], ...]
    routing: Routing
    own: Links
    isolated: frozenset[str] = field(default=frozenset())

    @classmethod
    def of(cls, links: str, routing: Routing, own: Links) -> There:
        found = json.loads(links)
        return cls(tuple(found), routing, own, frozenset(_isolated(found, own)))


class Index:
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


def connected(host: There) -> Iterator[Held]:
    """The networks that machines are in beside the host, from its addresses and from what the networks told."""
    for link in host.links:
        name = link["ifname"]
        if name in host.isolated or name == host.own.paths.transit_tap:
            continue
        for entry in link["addr_info"]:
            network = network_of(entry)
            if not (network.is_loopback or network.is_link_local):
                text = f"{name} has {entry['local']}/{entry['prefixlen']}"
                yield Held(network, text, ip_address(entry["local"]))
    for route in routes(host):
        if route.connected or (route.kind == "local" and route.protocol != "kernel"):
            yield Held(route.to, f"it has the route {route}")


def near(host: There) -> list[Network]:
    """The networks in which the host reaches machines of its LAN without a router: of its addresses, or by a route."""
    nets = [network_of(entry) for link in lan_links(host) for entry in link["addr_info"]]
    on_link = [route.to for route in routes(host) if route.device in lan_names(host.own) and not route.gateways]
    return nets + [network for network in on_link if network.prefixlen]


def network_of(entry: Mapping[str, Any]) -> Network:
    """Of a point-to-point address, the other end's."""
    return ip_interface(f"{entry.get('address', entry['local'])}/{entry['prefixlen']}").network


def routes(host: There) -> Iterator[Route]:
    """Those of others that ours can meet, without what every host has."""
    for route in host.routing.routes:
        ours = route.protocol == str(host.own.protocol) or route.device == host.own.paths.transit_tap
        own_address = route.table == LOCAL and (route.kind != "local" or route.protocol == "kernel")
        if not (ours or own_address or route.table in host.isolated or route.device in host.isolated):
            yield route


def lan_links(host: There) -> list[Mapping[str, Any]]:
    names = lan_names(host.own)
    return [link for link in host.links if link["ifname"] in names]


def overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _isolated(links: Iterable[Mapping[str, Any]], own: Links) -> Iterator[str]:
    kinds = {link["ifname"]: link.get("linkinfo", {}) for link in links}
    masters = {link["ifname"]: link.get("master") for link in links}
    ours = {masters.get(name) for name in (own.uplink, *lan_names(own))}
    for name, info in kinds.items():
        if info.get("info_kind") == "vrf" and name not in ours:
            yield str(info.get("info_data", {}).get("table", name))
            yield name
            yield from (port for port, master in masters.items() if master == name)
