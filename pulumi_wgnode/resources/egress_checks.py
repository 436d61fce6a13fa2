"""What keeps a host from answering for devices' public addresses, before anything is changed, each with the way out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from pulumi_wgnode.hosts.host import Host, HostError
from pulumi_wgnode.hosts.networks import network, probe
from pulumi_wgnode.hosts.networks.network import Network
from pulumi_wgnode.hosts.networks.routing import Routing
from wgnode.topology.model import Network as Prefix

_ELSE = "give the device another of `egressPool` in the site's stack file"


def require_answerable(host: Host, wanted: Network, seen: Mapping[str, Any]) -> None:
    """Raises HostError for an address that is the host's own, a router's or another machine's, or is in no network of
    the uplink and not said to be routed."""
    routing: Routing = seen["routing"]
    routers = {gateway for route in routing.routes for gateway in route.gateways}
    own = set(_own(seen["links"]))
    near = [route.to for route in routing.routes if route.connected and wanted.uplink in route.devices]
    for address in map(ip_address, wanted.public or ()):
        if address in own:
            raise HostError(f"host {host.name}: {address} is to be a device's outside, but is the host's own; {_ELSE}")
        if address in routers:
            raise HostError(f"host {host.name}: {address} is to be a device's outside, but is a next hop; {_ELSE}")
        if wanted.answers:
            _require_near(host, address, near, wanted.uplink)
    if wanted.answers:
        require_nobody_at(host, wanted, network.observed_egress(seen["proxies"], "", wanted))


def require_nobody_at(host: Host, wanted: Network, answered: Mapping[str, str]) -> None:
    """Asked of the uplink's network, for what the host does not answer for itself already."""
    new = [address for address in wanted.public or () if address not in answered]
    for address, mac in probe.holders(host, new, tap="", lan=wanted.uplink).items() if new else ():
        raise HostError(
            f"host {host.name}: {address} is to be a device's outside, but is in use at {wanted.uplink} by"
            f" {mac}; {_ELSE}"
        )


def _require_near(host: Host, address: IPv4Address | IPv6Address, near: list[Prefix], uplink: str) -> None:
    inside = [one for one in near if address.version == one.version and address in one and one.num_addresses > 1]
    if not inside:
        listed = ", ".join(sorted(str(one) for one in near if one.version == address.version)) or "none"
        raise HostError(
            f"host {host.name}: {address} is to be a device's outside, but is not in a network of the uplink {uplink}"
            f" (there: {listed}), so nobody would ask it there; if the prefix is routed to this host, say `routed:"
            " true` in `egressPool` in the site's stack file"
        )
    for one in inside:
        if one.version == 4 and one.prefixlen < 31 and address in (one.network_address, one.broadcast_address):
            raise HostError(
                f"host {host.name}: {address} is to be a device's outside, but is the network or broadcast address of"
                f" {one}; {_ELSE}"
            )


def _own(links: str) -> Iterator[IPv4Address | IPv6Address]:
    for link in json.loads(links):
        for entry in link["addr_info"]:
            yield ip_address(entry["local"])
