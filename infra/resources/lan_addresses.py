"""The addresses that a gateway takes in its LAN: nobody else's, neither the host's own nor another machine's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_interface
from typing import Any

from infra.hosts import probe
from infra.hosts.host import Host, HostError
from infra.provider.codec import has_unknown
from infra.provider.kind import Properties
from infra.resources import host_checks
from wgnode.image.paths import Paths
from wgnode.nodeconfig import ConfigError, LinkConfig, NodeConfig


def lan_of(inputs: Properties) -> LinkConfig:
    return NodeConfig.from_json(inputs["config"].encode()).lan


def held(state: Properties, inputs: Properties) -> bool:
    """Whether our own guest has them already, by what was last read of it."""
    unit = Paths(state.get("instance", "")).gateway_unit
    if not state.get("units", {}).get(unit, "").startswith("active"):
        return False
    try:
        return lan_of(state).addresses == lan_of(inputs).addresses
    except ConfigError:  # of another version of wgnode
        return False


def require_free(host: Host, inputs: Properties) -> None:
    """Raises HostError where the host or another machine of the LAN has one; asked of the LAN itself."""
    lan = lan_of(inputs)
    links = host_checks.require_own_address(host, lan.addresses)
    if lan.proxy_arp:
        require_no_other_network(host, inputs, links)
    require_nobody_at(host, inputs)


def require_no_other_network(host: Host, inputs: Properties, links: str) -> None:
    """Raises HostError where the LAN's wire has IPv4 networks that are none of the site's, as far as the host knows.

    The gateway's kernel answers ARP for whatever it would send elsewhere, hence for all of their machines too.
    """
    own = [ip_interface(address).network for address in lan_of(inputs).addresses]
    for link in _on_the_wire(
        json.loads(links), Paths(_text(inputs, "instance")).lan_tap, _text(inputs, "lanInterface")
    ):
        for entry in link["addr_info"]:
            network = ip_interface(f"{entry.get('address', entry['local'])}/{entry['prefixlen']}").network
            strange = network.version == 4 and network.prefixlen < 31 and not network.is_link_local
            if strange and not any(network.version == one.version and network.overlaps(one) for one in own):
                raise HostError(
                    f"host {host.name}: {link['ifname']} has {entry['local']}/{entry['prefixlen']}, and by proxy-arp"
                    f" the gateway would answer for all machines of {network}, which is none of the site's lans; list"
                    " it there, or take host-route or masquerade for lan.reach"
                )


def _on_the_wire(links: list[dict[str, Any]], tap: str, interface: str) -> Iterator[dict[str, Any]]:
    masters = {link["ifname"]: link.get("master") for link in links}
    name = masters.get(tap) or masters.get(interface) or interface
    return (link for link in links if link["ifname"] in (name, interface))


def require_nobody_at(host: Host, inputs: Properties) -> None:
    lan, paths = lan_of(inputs), Paths(_text(inputs, "instance"))
    wanted = [str(ip_interface(address).ip) for address in lan.addresses]
    found = probe.holders(host, wanted, tap=paths.lan_tap, lan=_text(inputs, "lanInterface"))
    for address, mac in found.items():
        if mac != lan.mac.lower():
            raise HostError(
                f"host {host.name}: {address} is to be the gateway's address in the LAN, but is in use there by {mac},"
                " which would lose it; give the gateway another in the site's stack file"
            )


def _text(inputs: Properties, name: str) -> str:
    value = inputs.get(name) or ""
    return "" if has_unknown(value) else str(value)
