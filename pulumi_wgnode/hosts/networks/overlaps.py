"""Networks of the mesh that a host has something of its own in: judged before anything there is changed. Pure.

Refused is what would hide machines that the host is with, or be hidden by them: networks of its interfaces, in which
direction ever they overlap, its routers, and another route to the very same network. A default route, or one to a wider
network, is what a mesh's more specific routes are for. A route to a part of a mesh's network stays what it is, an
exception, and is told. See docs/decisions/overlaps.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface

from pulumi_wgnode.hosts.networks.host_networks import (
    SENDING,
    Held,
    Index,
    There,
    Wanted,
    connected,
    lan_links,
    network_of,
    routes,
)
from pulumi_wgnode.hosts.networks.network import METRIC, PROTOCOLS, lan_names
from pulumi_wgnode.hosts.networks.passed_over import first, passed_over
from pulumi_wgnode.hosts.networks.routing import MAIN, Route
from wgnode.topology import networks
from wgnode.topology.model import Network


@dataclass(frozen=True)
class Overlap:
    wanted: Wanted
    held: Held


@dataclass(frozen=True)
class Verdict:
    """`refused` can't be; `told` works, but not for all."""

    refused: tuple[Overlap, ...] = ()
    told: tuple[str, ...] = ()


def judge(wanted: Iterable[Wanted], host: There) -> Verdict:
    """Networks that are wanted overlap no other one of them: the mesh has seen to that."""
    index = Index(wanted)
    refused = [*_same_places(index, host), *_same_routes(index, host)]
    seen: dict[tuple[Network, Network], Overlap] = {}
    for overlap in refused:
        seen.setdefault((overlap.wanted.network, overlap.held.network), overlap)
    bad = {overlap.wanted.network for overlap in seen.values()}
    told = [*_twins(host), *_exceptions(index, host, bad), *passed_over(index, host, bad)]
    return Verdict(tuple(seen.values()), tuple(dict.fromkeys(told)))


def _twins(host: There) -> Iterator[str]:
    """Other interfaces in the very network of the LAN: the host has them so already, and it may be one wire."""
    lan = {network_of(entry): link["ifname"] for link in lan_links(host) for entry in link["addr_info"]}
    for held in connected(host):
        name = held.text.partition(" ")[0]
        elsewhere = held.address is not None and name not in lan_names(host.own)
        if elsewhere and held.network.num_addresses > 1 and held.network in lan:
            yield (
                f"{held.text}, and {lan[held.network]} is in {held.network} too: by which of the two it finds the LAN's"
                " machines is chance; give the LAN a network of its own"
            )


def _same_places(index: Index, host: There) -> Iterator[Overlap]:
    for held in connected(host):
        for wanted in index.overlapping(held.network):
            yield Overlap(wanted, held)
    for route in routes(host):
        for hop in route.gateways:
            for wanted in index.overlapping(ip_interface(hop).network):
                yield Overlap(wanted, Held(ip_interface(hop).network, f"{hop} is the next hop of its route {route}"))


def _same_routes(index: Index, host: There) -> Iterator[Overlap]:
    """One with a worse metric than ours is a fallback, one to our gateway says what ours says."""
    hops = {networks.of(to): ip_address(via) for to, via in host.own.routes.items()}
    for route in routes(host):
        harmless = (route.table == MAIN and _behind(route)) or route.gateways == (hops.get(route.to),)
        if route.kind in SENDING and not _another_gateways(route) and not harmless:
            for wanted in index.overlapping(route.to):
                if wanted.network == route.to:
                    yield Overlap(wanted, Held(route.to, f"it has the route {route}"))


def _behind(route: Route) -> bool:
    return route.metric > METRIC


def _exceptions(index: Index, host: There, bad: set[Network]) -> Iterator[str]:
    found: dict[Wanted, list[Route]] = {}
    for route in routes(host):
        if route.kind in SENDING and not route.connected:
            for wanted in index.overlapping(route.to):
                if route.to.prefixlen > wanted.network.prefixlen and wanted.network not in bad:
                    found.setdefault(wanted, []).append(route)
    for wanted, theirs in found.items():
        yield f"of {wanted}, what the host's own route {first(theirs)} is for goes there, not into the mesh"


def _another_gateways(route: Route) -> bool:
    """Told by the records of the host's gateways (host_checks.require_own_routes)."""
    return route.protocol.isdecimal() and int(route.protocol) in PROTOCOLS
