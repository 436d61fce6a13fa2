"""What of a host's surroundings its firewall has to know, to tell outside from inside by an interface it does not know.

Pure: from routes of all tables. See docs/decisions/uplink.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from pulumi_wgnode.hosts.networks import network
from pulumi_wgnode.hosts.networks.routing import Route, Routing
from pulumi_wgnode.hosts.networks.ways import is_wide, outward
from wgnode.firewall.expressions import Network
from wgnode.firewall.unknown import PRIVATE, SHARED

_FLEETING = ("babel", "bgp", "bird", "eigrp", "isis", "openr", "ospf", "rip", "zebra")
"""Routing protocols: what they learn comes and goes."""


@dataclass(frozen=True)
class Surroundings:
    """`inside`: public networks that the host has by interfaces that lead nowhere, and `interfaces` these, since their
    networks may be renumbered by a provider; `outside`: private networks that it has by its uplink."""

    inside: tuple[Network, ...] = ()
    outside: tuple[Network, ...] = ()
    interfaces: tuple[str, ...] = ()

    def outputs(self) -> dict[str, list[str]]:
        networks = {"inside": list(map(str, self.inside)), "outside": list(map(str, self.outside))}
        return {**networks, "interfaces": list(self.interfaces)}

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> Surroundings:
        """From a state, or inputs, also of versions that knew of none."""
        kept = properties.get("surroundings") or {}
        inside, outside = (tuple(map(ip_network, kept.get(name, ()))) for name in ("inside", "outside"))
        return cls(inside, outside, tuple(kept.get("interfaces", ())))


def surroundings(routing: Routing, uplink: str) -> Surroundings:
    """What routing protocols learn does not count, nor what lies behind gateways of ours."""
    facing = outward(routing) | {uplink}
    lasting = [route for route in routing.routes if _lasting(route)]
    inside = [one for one in lasting if not facing & set(one.devices) and not is_private(one.to)]
    outside = {one.to for one in lasting if uplink in one.devices and (is_private(one.to) or _shared(one.to))}
    names = sorted({device for one in inside for device in one.devices})
    return Surroundings(_sorted({one.to for one in inside}), _sorted(outside), tuple(names))


def facing(routing: Routing, uplink: str) -> tuple[str, ...]:
    """The interfaces besides the uplink that have a route to the outside, whatever its table and metric."""
    return tuple(sorted(name for name in outward(routing) if name != uplink and not network.of_gateway(name)))


def is_private(net: Network) -> bool:
    return any(net.version == one.version and net.subnet_of(one) for one in PRIVATE)  # type: ignore[arg-type]


def _shared(net: Network) -> bool:
    return net.version == SHARED.version and net.overlaps(SHARED)


def _lasting(route: Route) -> bool:
    if is_wide(route) or route.kind != "unicast" or route.protocol in _FLEETING or route.to.is_link_local:
        return False
    return not any(device == "lo" or network.of_gateway(device) for device in route.devices)


def _sorted(networks: Iterable[Network]) -> tuple[Network, ...]:
    return tuple(sorted(networks, key=lambda one: (one.version, int(one.network_address), one.prefixlen)))
