"""Whether a LAN is one in which a gateway can have addresses for others: its machines find each other by ARP or
neighbour discovery, and its switch passes more than the host's own MAC. Refused where users' devices need it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface
from typing import Any

from pulumi_wgnode.call.kind import Properties
from pulumi_wgnode.contracts.node import config_of
from pulumi_wgnode.hosts.host import Host, HostError
from pulumi_wgnode.hosts.networks import network, probe
from pulumi_wgnode.hosts.query import Query, answer
from pulumi_wgnode.resources import lan_addresses
from pulumi_wgnode.resources.lan_addresses import Wanted

WAY_OUT = (
    "so no device can have an address of its own there: make a site whose LAN is an Ethernet of its own (a bridge of"
    " the host's, such as that of its virtual machines, is one) the users' home, or take `users` out"
)
SAMPLES, MOST_WITH_MANY = 4, 1
"""Addresses of a LAN that nobody is likely to have, and how many of them one machine may have all the same."""
NEIGHBOURS = 4
"""Of the host, that are asked as the gateway."""
LOOKS = 2
Networks = Sequence[IPv4Network | IPv6Network]


def needed(inputs: Properties, state: Properties) -> bool:
    """Whether users' devices come to a gateway that had none."""
    return bool(config_of(inputs["config"]).devices) and not (state and _devices(state))


def _devices(state: Properties) -> bool:
    try:
        return bool(config_of(state["config"]).devices)
    except (KeyError, ValueError, TypeError):  # of another version of wgnode
        return False


def require_ethernet(host: Host, inputs: Properties) -> None:
    """Raises HostError; a LAN where nobody answers at all is let through, as nothing is known of it."""
    wanted = lan_addresses.wanted(inputs)
    lans = [ip_interface(address).network for address in wanted.addresses]
    links = answer(host, Query(network.READ_LINKS, lambda said: said.stdout, check=True))
    for why in _by_link(json.loads(links), wanted, lans):
        raise HostError(f"host {host.name}: {why}, {WAY_OUT}")
    where = {"tap": wanted.tap, "lan": wanted.interface}
    if mac := _answers_for_all(probe.holders(host, samples(lans, wanted.mac), **where), wanted.mac):
        raise HostError(
            f"host {host.name}: {mac} answers in the LAN {wanted.interface} for addresses that nobody has, as a router"
            f" of a cloud's network or a proxy for all does, {WAY_OUT}"
        )
    if asked := _deaf_to_others(host, wanted, lans):
        raise HostError(
            f"host {host.name}: in the LAN {wanted.interface} {' and '.join(asked)} answer the host itself, but not the"
            f" gateway's MAC {wanted.mac}: a switch or hypervisor passes the host's own alone (port security, MAC"
            " filter, forged transmits rejected); let it pass that MAC too, or nothing in the LAN finds the gateway,"
            f" {WAY_OUT}"
        )


def _by_link(links: list[dict[str, Any]], wanted: Wanted, lans: Networks) -> Iterator[str]:
    """What the links of the LAN say themselves."""
    for link in lan_addresses.on_the_wire(links, wanted.tap, wanted.interface):
        name, flags = link["ifname"], link.get("flags", ())
        if link.get("link_type") not in (None, "ether"):
            yield f"the LAN interface {name} is no Ethernet ({link['link_type']})"
        elif "NOARP" in flags:
            yield f"the LAN interface {name} asks nobody for addresses (NOARP)"
        for entry in link.get("addr_info", ()):
            own = ip_address(entry["local"])
            single = entry["prefixlen"] == own.max_prefixlen and entry.get("scope") == "global"
            lan = next((lan for lan in lans if own in lan and lan.prefixlen < lan.max_prefixlen), None)
            if single and lan and not _has_network(link, lan):
                yield (
                    f"{name} has {own}/{entry['prefixlen']} alone of {lan}, which its machines reach by a router, as in"
                    " a cloud's network"
                )


def _has_network(link: Mapping[str, Any], lan: IPv4Network | IPv6Network) -> bool:
    own = [ip_interface(f"{entry['local']}/{entry['prefixlen']}").network for entry in link["addr_info"]]
    return any(one.version == lan.version and one.prefixlen < one.max_prefixlen and one.overlaps(lan) for one in own)


def samples(lans: Networks, mac: str) -> list[str]:
    """Addresses of each LAN, always the same, apart from each other."""
    found = []
    for lan in lans:
        if lan.num_addresses >= 4 * SAMPLES:
            part = lan.num_addresses // SAMPLES
            for number in range(SAMPLES):
                drawn = int.from_bytes(hashlib.sha256(f"{mac} {lan} {number}".encode()).digest()[:16], "big")
                found.append(str(lan[min(number * part + 1 + drawn % (part - 1), lan.num_addresses - 2)]))
    return found


def _answers_for_all(found: Mapping[str, str], own: str) -> str:
    """Whose MAC has, of one family, more addresses than a machine may have by chance; of others' proxies too."""
    has = Counter((mac, ip_address(address).version) for address, mac in found.items() if mac != own.lower())
    return next((mac for (mac, _), count in has.items() if count >= SAMPLES - MOST_WITH_MANY), "")


def _deaf_to_others(host: Host, wanted: Wanted, lans: Networks) -> list[str]:
    """Addresses of machines that answered the host each time and the gateway never; none where one answered it."""
    where = {"tap": wanted.tap, "lan": wanted.interface}
    known = [
        address
        for address, mac in probe.neighbours(host, **where).items()
        if any(ip_address(address) in lan for lan in lans) and mac != wanted.mac.lower()
    ][:NEIGHBOURS]
    for _ in range(LOOKS if known else 0):
        known = sorted(probe.holders(host, known, **where))
        if not known or probe.holders_asked_as(host, wanted.mac, known, **where):
            return []
    return known
