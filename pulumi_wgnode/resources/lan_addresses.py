"""The addresses that a gateway takes in its LAN: nobody else's, neither the host's own nor another machine's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any

from pulumi_wgnode.call.kind import Properties, has_unknown
from pulumi_wgnode.contracts.node import config_of
from pulumi_wgnode.hosts.host import Host, HostError
from pulumi_wgnode.hosts.networks import probe
from pulumi_wgnode.resources import host_checks
from wgnode.image.paths import Paths
from wgnode.nodeconfig import ConfigError, LinkConfig


@dataclass(frozen=True)
class Wanted:
    """What a gateway takes in its LAN: `tap` is its link there, `interface` the host's."""

    addresses: tuple[str, ...]
    mac: str
    proxy_arp: bool
    tap: str
    interface: str


def wanted(inputs: Properties) -> Wanted:
    """By a Gateway's inputs."""
    lan, tap = lan_of(inputs), Paths(_text(inputs, "instance")).lan_tap
    return Wanted(lan.addresses, lan.mac, lan.proxy_arp, tap, _text(inputs, "lanInterface"))


def foretold(inputs: Properties, paths: Paths) -> Wanted | None:
    """By a HypervisorHost's, which need not say."""
    networks = inputs.get("networks") or {}
    if not (said := networks.get("gateway")) or has_unknown(said):
        return None
    return Wanted(tuple(said["addresses"]), said["mac"], said["proxyArp"], paths.lan_tap, networks["lanInterface"])


def lan_of(inputs: Properties) -> LinkConfig:
    return config_of(inputs["config"]).lan


def held(state: Properties, inputs: Properties) -> bool:
    """Whether our own guest has them already, by what was last read of it."""
    unit = Paths(state.get("instance", "")).gateway_unit
    if not state.get("units", {}).get(unit, "").startswith("active"):
        return False
    try:
        return lan_of(state).addresses == lan_of(inputs).addresses
    except ConfigError:  # of another version of wgnode
        return False


def require_free(host: Host, wanted: Wanted) -> None:
    """Raises HostError where the host or another machine of the LAN has one; asked of the LAN itself."""
    links = host_checks.require_own_address(host, wanted.addresses)
    if wanted.proxy_arp:
        require_no_other_network(host, wanted, links)
    require_nobody_at(host, wanted)


def require_no_other_network(host: Host, wanted: Wanted, links: str) -> None:
    """Raises HostError where the LAN's wire has IPv4 networks that are none of the site's, as far as the host knows.

    The gateway's kernel answers ARP for whatever it would send elsewhere, hence for all of their machines too.
    """
    own = [ip_interface(address).network for address in wanted.addresses]
    for link in on_the_wire(json.loads(links), wanted.tap, wanted.interface):
        for entry in link["addr_info"]:
            network = ip_interface(f"{entry.get('address', entry['local'])}/{entry['prefixlen']}").network
            strange = network.version == 4 and network.prefixlen < 31 and not network.is_link_local
            if strange and not any(network.version == one.version and network.overlaps(one) for one in own):
                raise HostError(
                    f"host {host.name}: {link['ifname']} has {entry['local']}/{entry['prefixlen']}, and by proxy-arp"
                    f" the gateway would answer for all machines of {network}, which is none of the site's lans; list"
                    " it there, or take host-route or masquerade for lan.reach"
                )


def on_the_wire(links: list[dict[str, Any]], tap: str, interface: str) -> Iterator[dict[str, Any]]:
    """The LAN interface, and the bridge that the LAN is attached to."""
    masters = {link["ifname"]: link.get("master") for link in links}
    name = masters.get(tap) or masters.get(interface) or interface
    return (link for link in links if link["ifname"] in (name, interface))


def require_nobody_at(host: Host, wanted: Wanted) -> None:
    addresses = [str(ip_interface(address).ip) for address in wanted.addresses]
    found = probe.holders(host, addresses, tap=wanted.tap, lan=wanted.interface)
    for address, mac in found.items():
        if mac != wanted.mac.lower():
            raise HostError(
                f"host {host.name}: {address} is to be the gateway's address in the LAN, but is in use there by {mac},"
                " which would lose it; give the gateway another in the site's stack file"
            )


def _text(inputs: Properties, name: str) -> str:
    value = inputs.get(name) or ""
    return "" if has_unknown(value) else str(value)
