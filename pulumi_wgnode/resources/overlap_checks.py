"""What of the mesh's networks and of the gateway's own can't be on this host, each with the way out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_interface
from typing import Any

from pulumi_wgnode.call.kind import Properties
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.hosts.host import Host, HostError
from pulumi_wgnode.hosts.networks import lost_bridge, overlaps
from pulumi_wgnode.hosts.networks.host_networks import There, Wanted, connected, near
from pulumi_wgnode.hosts.networks.network import Network
from pulumi_wgnode.hosts.networks.overlaps import Overlap
from pulumi_wgnode.resources import egress_checks, host_checks
from pulumi_wgnode.resources.foresee import Check
from wgnode.topology.networks import of

LINK = "the link to the gateway"
ROUTES_WAY_OUT = (
    "Renumber one of the two or take its own route away; where this LAN's machines need not call the other sites,"
    " masquerade for lan.reach does without routes on the host"
)
_TOLD = 8  # networks named one by one


def checks(host: Host, inputs: Properties, wanted: Network, seen: Mapping[str, Any]) -> Iterator[Check]:
    """All that is to be seen before anything is changed; each raises HostError."""
    there = _there(wanted, seen)
    yield lambda: require_neighbours(host, wanted, there)
    yield lambda: require_gateway_elsewhere(host, wanted, there)
    yield lambda: require_own_transit(host, there)
    yield lambda: host_checks.require_own_routes(host, wanted, seen["routes"])
    yield lambda: require_apart(host, named(inputs), there)
    yield lambda: egress_checks.require_answerable(host, wanted, seen)


def _there(wanted: Network, seen: Mapping[str, Any]) -> There:
    """As it is once a bridge of ours that is gone has come back with what it had."""
    links = lost_bridge.as_before(seen["links"], seen["recorded"], wanted.lan, wanted.bridge)
    return There.of(links, seen["routing"], wanted)


def named(inputs: Properties) -> list[Wanted]:
    """The networks that the host is to route to the gateway, each with whose it is, as far as that was said."""
    networks = inputs["networks"]
    whose = networks.get("whose") or {}
    return [Wanted(of(one["to"]), whose.get(one["to"], "the mesh")) for one in networks["routes"]]


def require_apart(host: Host, networks: Iterable[Wanted], there: There) -> None:
    """Raises HostError where the host is itself in a network of the mesh, or routes it elsewhere.

    What is routed past the mesh in part is warned of.
    """
    verdict = overlaps.judge(networks, there)
    for text in verdict.told:
        log(f"host {host.name}: {text}", Severity.WARNING)
    if verdict.refused:
        raise HostError(f"host {host.name}: {_listed(verdict.refused)}. {ROUTES_WAY_OUT}")


def warn_of(host: Host, inputs: Properties, wanted: Network, seen: Mapping[str, Any]) -> None:
    """Of an overlap that came after the deployment, as with a new network at the uplink: the host's own counts."""
    verdict = overlaps.judge(named(inputs), _there(wanted, seen))
    if verdict.refused:
        text = f"host {host.name}: {_listed(verdict.refused)}, so the LAN does not reach that. {ROUTES_WAY_OUT}"
        log(text, Severity.WARNING)


def require_own_transit(host: Host, there: There) -> None:
    """Raises HostError where the network of the link to the gateway overlaps one that the host is in or routes to."""
    networks = [ip_interface(address).network for address in there.own.transit]
    for overlap in overlaps.judge([Wanted(network, LINK) for network in networks], there).refused:
        held, network = overlap.held, overlap.wanted.network
        within = held.address is not None and held.address in network
        raise HostError(
            f"host {host.name}: {held.text}, which {'is in' if within else 'overlaps'} the network of {LINK}"
            f" ({' and '.join(map(str, networks))}); give another as gateway.transit in the site's stack file"
        )


def require_neighbours(host: Host, wanted: Network, there: There) -> None:
    """Raises HostError when the host is not in the LAN where its routes' next hops are."""
    networks = near(there)
    hops = sorted({ip_address(via) for via in wanted.routes.values()}, key=lambda hop: (hop.version, hop.packed))
    if strange := [str(hop) for hop in hops if not any(hop in network for network in networks)]:
        raise HostError(
            f"host {host.name}: {wanted.lan} has no address in the network of {' and '.join(strange)}, the gateway's,"
            f" so the host cannot route to it. Give {wanted.lan} an address in that LAN,"
            " or take proxy-arp or masquerade for lan.reach"
        )


def require_gateway_elsewhere(host: Host, wanted: Network, there: There) -> None:
    """Raises HostError where an address that is to be the gateway's is the host's own."""
    hops = {ip_address(via) for via in wanted.routes.values()}
    for held in connected(there):
        if held.address in hops:
            raise host_checks.own_address(host, str(held.address), held.text.partition(" ")[0])


def _listed(found: Iterable[Overlap]) -> str:
    ones = [f"{one.wanted} is not the mesh's alone there: {one.held.text}" for one in found]
    return "; ".join(ones[:_TOLD]) + (f"; and {len(ones) - _TOLD} more" if len(ones) > _TOLD else "")
