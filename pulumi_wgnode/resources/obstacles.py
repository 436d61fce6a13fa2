"""What keeps packets from passing though all that is deployed is there as wanted: cables, links, settings, disks.

None of it is a deployment's to mend, so it is no drift, but told, with what to do. Pure but for the telling.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_interface
from typing import Any

from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.hosts import system
from pulumi_wgnode.hosts.host import Host, Result
from pulumi_wgnode.hosts.networks import network
from pulumi_wgnode.hosts.networks.network import Network
from pulumi_wgnode.hosts.networks.routing import Route, Routing
from pulumi_wgnode.hosts.query import Query
from wgnode.image.paths import STATE

# Bytes and inodes that are free, how many inodes there are at all (0 where there is no such thing, as with btrfs),
# where it is mounted; and whether it can be written to.
_ROOM = 'df --block-size=1 --output=avail,iavail,itotal,target "$1" | tail -n 1; [ -w "$1" ] || echo read-only'
_WITHOUT_ROUTE = ("noprefixroute", "mngtmpaddr", "temporary", "dynamic")
ROOM: Query[str] = Query(["sh", "-c", _ROOM, "room", STATE], lambda said: _full(said))


def _full(said: Result) -> str:
    """What is wrong with the file system of the gateways' files; nothing where the host told nothing of it."""
    line, _, more = said.stdout.partition("\n")
    words = line.split(maxsplit=3)
    if len(words) < 4:
        return ""
    free, nodes, of_nodes, where = words
    if "read-only" in more:
        return (
            f"its file system {where} is read-only, so neither the gateway nor `pulumi up` can write anything down;"
            f" `dmesg` there says why (an error of the disk makes it so), `mount -o remount,rw {where}` undoes it"
        )
    if free == "0" or (nodes == "0" and of_nodes not in ("0", "-")):
        what = "space" if free == "0" else "inode"
        return (
            f"its file system {where} is full, no {what} is free, so neither the gateway nor `pulumi up` can write"
            " anything down; make room there (`df -h`, `df -i`)"
        )
    return ""


def forwarding(interfaces: Iterable[str]) -> Query[dict[str, str]]:
    """Whether what comes in by each is forwarded: the setting of all of them only presets IPv4's of each (IPv6 has none
    of its own)."""
    return system.sysctls(f"net/ipv4/conf/{name}/forwarding" for name in interfaces)


def warn_of(host: Host, seen: Mapping[str, Any], wanted: Network, bridge: str) -> None:
    """`bridge` is where the LAN is attached."""
    for text in told(seen, wanted, bridge):
        log(f"host {host.name}: {text}", Severity.WARNING)


def told(seen: Mapping[str, Any], wanted: Network, bridge: str) -> Iterator[str]:
    """What a host told by `hypervisor_state.look`, judged."""
    uplink, lan = wanted.uplink, wanted.lan
    links = {link["ifname"]: link for link in json.loads(seen["links"])}
    yield from _dead(links, uplink, "uplink")
    yield from _dead(links, lan, "LAN interface")
    if bridge != lan:
        yield from _down(links, bridge, "LAN's bridge")
    yield from _off_the_lan(links, bridge, seen["routing"])
    yield from _kept(seen["forwards"], (uplink, bridge, wanted.paths.transit_tap))
    if seen["room"]:
        yield seen["room"]


def _down(links: Mapping[str, Any], name: str, what: str) -> Iterator[str]:
    if name in links and "UP" not in links[name]["flags"] and not network.of_gateway(name):
        yield f"the {what} {name} is down, so nothing passes by it; `ip link set {name} up` there"


def _dead(links: Mapping[str, Any], name: str, what: str) -> Iterator[str]:
    """Of a LAN interface that is a port of our bridge, that it is down is drift already."""
    if name not in links:
        return
    if not network.is_ours(links[name].get("master", "")):
        yield from _down(links, name, what)
    if "NO-CARRIER" in links[name]["flags"]:
        yield f"the {what} {name} has no carrier, so nothing passes by it: its cable is out, or what it leads to is off"


def _off_the_lan(links: Mapping[str, Any], bridge: str, routing: Routing) -> Iterator[str]:
    """Without a route of its own to its LAN, a host sends what comes back from the mesh elsewhere.

    Only of addresses with which the kernel makes one: those of router advertisements, and others by wish, have none.
    """
    ways = [route for route in routing.routes if bridge in route.devices and not route.gateways]
    if not routing.routes or bridge not in links or "UP" not in links[bridge]["flags"]:
        return  # a host that told nothing of them, or has none while its link is down
    for entry in links[bridge]["addr_info"]:
        net = ip_interface(f"{entry['local']}/{entry['prefixlen']}").network
        own = entry["scope"] == "global" and not any(entry.get(flag) for flag in _WITHOUT_ROUTE)
        if own and net.num_addresses > 2 and not any(_leads_to(way, net) for way in ways):
            yield (
                f"it has {entry['local']}/{entry['prefixlen']} on {bridge}, but no route to {net} by it, so what is for"
                f" the LAN goes elsewhere; `ip route add {net} dev {bridge}` there, and look for who took it away"
            )


def _leads_to(way: Route, net: Any) -> bool:
    return way.kind == "unicast" and way.to.version == net.version and way.to.prefixlen > 0 and way.to.supernet_of(net)


def _kept(settings: Mapping[str, str], names: Sequence[str]) -> Iterator[str]:
    """Interfaces from which nothing is forwarded, though the host forwards."""
    off = [name for name in names if settings.get(f"net/ipv4/conf/{name}/forwarding") == "0"]
    if len(off) == len(names):  # so is the setting of all, which is drift
        return
    for name in off:
        yield (
            f"it forwards, but nothing of IPv4 that comes in by {name};"
            f" `sysctl -w net/ipv4/conf/{name}/forwarding=1` there, and look for who sets it to 0 (/etc/sysctl.d,"
            " IPForward= of systemd-networkd)"
        )
