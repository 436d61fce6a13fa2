"""Whether a host's uplink is the interface by which its traffic really leaves. Pure: from links, routes and rules.

nftables knows what comes in by the name of the interface that has the address: of a bridge's port, a bond's slave or a
renamed card it never sees a packet under the card's name. See docs/decisions/uplink.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Any

from pulumi_wgnode.hosts.networks import network
from pulumi_wgnode.hosts.networks.routing import Routing
from pulumi_wgnode.hosts.networks.ways import Address, Packet, leaves_by
from wgnode.topology.model import DEFAULT_LISTEN_PORT

SOUND = "traffic leaves by it"
_MASTERS = {
    "bridge": "a port of the bridge",
    "bond": "a slave of the bond",
    "team": "a port of the team",
    "openvswitch": "a port of Open vSwitch,",
}
_CHANGE = "in the site's stack file"


@dataclass(frozen=True)
class Site:
    """What of a site decides where its packets leave.

    `gateway` is the transit link, `guests` the gateway's addresses on it, `peers` those that other sites are called at.
    """

    uplink: str
    lan: str = ""
    gateway: str = "wgnode-wan"
    guests: tuple[Address, ...] = ()
    port: int = DEFAULT_LISTEN_PORT
    peers: tuple[Address, ...] = ()


@dataclass(frozen=True)
class Finding:
    """`what` is found of the uplink, SOUND or a few words that name it; `way_out` is told with a refusal."""

    what: str = SOUND
    way_out: str = ""

    @property
    def sound(self) -> bool:
        return self.what == SOUND


def judged(links: str, routing: Routing, site: Site) -> Finding:
    """`links` is from network.READ_LINKS. Routes of which the host tells nothing are not judged."""
    there = present(links, routing, site)
    return there if not there.sound else _beside(_by_name(links), routing, site) or there


def present(links: str, routing: Routing, site: Site) -> Finding:
    """Whether packets come in under its name at all, whichever way others leave."""
    found, out = _by_name(links), _out(routing, site)
    if not found:  # a host that told nothing of them
        return Finding()
    if site.uplink not in found:
        return _missing(found, site, out)
    return _enslaved(found, site, out) or Finding()


def partly(routing: Routing, site: Site) -> list[str]:
    """Those of the other sites that are reached by another interface than the uplink, though some are by it."""
    ways = [(to, devices) for to, devices in _ways(routing, site) if not to.startswith("IPv")]
    return [f"{to} by {_and(devices)}" for to, devices in ways if devices and devices != (site.uplink,)]


def _ways(routing: Routing, site: Site) -> list[tuple[str, tuple[str, ...]]]:
    """By which devices the gateway's packets get to each peer; to the outside as such, where no peer is known."""
    sources = {guest.version: Packet(site.gateway, guest, site.port) for guest in site.guests}
    if peers := [peer for peer in site.peers if peer.version in sources]:
        ways = [(str(peer), leaves_by(routing, sources[peer.version], peer)) for peer in peers]
        if any(devices for _, devices in ways):
            return ways
    return [(f"IPv{version}", leaves_by(routing, packet)) for version, packet in sorted(sources.items())]


def _out(routing: Routing, site: Site) -> tuple[str, ...]:
    return tuple(sorted({device for _, devices in _ways(routing, site) for device in devices}))


def _by_name(links: str) -> dict[str, Mapping[str, Any]]:
    return {link["ifname"]: link for link in json.loads(links)}


def _missing(found: Mapping[str, Any], site: Site, out: tuple[str, ...]) -> Finding:
    for name, link in found.items():
        if site.uplink in link.get("altnames", ()):
            return Finding(
                f"only another name of {name}",
                f"the uplink {site.uplink} is only another name of {name}, which the firewall does not know it by;"
                f" set `uplink: {name}` {_CHANGE}",
            )
    there = ", ".join(name for name in found if name != "lo" and not network.of_gateway(name))
    advice = _advice(site, out) if out else f"correct it {_CHANGE}"
    return Finding(
        "missing" + (f"; traffic leaves by {_and(out)}" if out else ""),
        f"there is no uplink interface {site.uplink}; there are {there}; {advice}",
    )


def _enslaved(found: Mapping[str, Any], site: Site, out: tuple[str, ...]) -> Finding | None:
    link = found[site.uplink]
    info = link.get("linkinfo", {})
    if network.of_gateway(site.uplink) or "LOOPBACK" in link.get("flags", ()):
        what = "the loopback" if "LOOPBACK" in link.get("flags", ()) else "a link of a gateway"
        return Finding(what, f"the uplink {site.uplink} is {what}; {_advice(site, out)}")
    if info.get("info_kind") == "vrf":
        return Finding("a VRF", f"the uplink {site.uplink} is {_no_vrf('a VRF')}")
    if not (master := link.get("master")):
        return None
    kind = info.get("info_slave_kind") or found.get(master, {}).get("linkinfo", {}).get("info_kind", "")
    if kind == "vrf":
        return Finding(f"in the VRF {master}", f"the uplink {site.uplink} is {_no_vrf(f'in the VRF {master}')}")
    what = f"{_MASTERS.get(kind, 'a port of')} {master}"
    leaves = out or (() if kind == "openvswitch" or network.of_gateway(master) else (_top(found, master),))
    return Finding(
        what + (f"; traffic leaves by {_and(leaves)}" if leaves else ""),
        f"the uplink {site.uplink} is {what}: what comes in by it comes in by {_and(leaves) or master}, which no rule"
        f" for {site.uplink} ever sees; {_advice(site, leaves)}",
    )


def _no_vrf(what: str) -> str:
    return (
        f"{what}, a routing table of its own that the gateway's packets are not in; take the interface that leads to"
        f" the other sites out of it, or give another as `uplink` {_CHANGE}"
    )


def _beside(found: Mapping[str, Any], routing: Routing, site: Site) -> Finding | None:
    """Where traffic leaves by other interfaces only, or by several at once."""
    if not routing.routes or not site.guests:
        return None
    ways, out = _ways(routing, site), _out(routing, site)
    if not out:
        whole = any(route.kind == "local" for route in routing.routes)  # the loopback's are always there
        if _has_address(found[site.uplink]) or not whole:
            return None  # on-link with whoever it talks to
        what = "without an address, and there is no default route"
        return Finding(what, f"the uplink {site.uplink} is {what}; bring it up, or correct `uplink` {_CHANGE}")
    if any(devices == (site.uplink,) for _, devices in ways):
        return None
    how = ", ".join(f"{to} by {_and(devices)}" for to, devices in ways if devices)
    if site.uplink in out:
        others = tuple(device for device in out if device != site.uplink)
        return Finding(
            f"one of several ways; traffic leaves by {_and(out)} in turn",
            f"traffic leaves by {_and(out)} in turn ({how}), and what leaves by {_and(others)} is lost, since a gateway"
            f" has one uplink; give its packets one way, such as by `ip rule add iif {site.gateway} lookup N` with a"
            f" default route by {site.uplink} in the table N",
        )
    relation = _relation(found, site.uplink, out)
    return Finding(
        f"not where traffic leaves, which is {_and(out)}",
        f"traffic does not leave by the uplink {site.uplink}{relation} ({how}); {_advice(site, out)}",
    )


def _advice(site: Site, out: tuple[str, ...]) -> str:
    if len(out) != 1:
        several = f" one of {', '.join(out)}" if out else " the interface that has the host's address and default route"
        return f"give{several} as `uplink` {_CHANGE}"
    if out[0] == site.lan:
        return (
            f"traffic leaves by {out[0]}, which is given as the LAN's interface: the LAN needs one of its own, such as"
            f" a bridge without the uplink's card; then set `uplink: {out[0]}` {_CHANGE}"
        )
    return f"traffic leaves by {out[0]}: set `uplink: {out[0]}` {_CHANGE}"


def lan_of_uplink(links: str, site: Site) -> str:
    """What is wrong where the LAN's interface is one that the uplink is made of, else nothing."""
    found, name = _by_name(links), site.lan
    seen: set[str] = set()
    while name in found and name not in seen:
        seen.add(name)
        name = found[name].get("master", "")
        if name == site.uplink:
            return (
                f"the LAN interface {site.lan} carries the uplink {site.uplink}, whose port it is; the LAN needs an"
                f" interface of its own: correct `lan.interface` {_CHANGE}"
            )
    return ""


def _relation(found: Mapping[str, Any], uplink: str, out: Iterable[str]) -> str:
    for name in out:
        link = found.get(name, {})
        if link.get("link") == uplink:
            kind = link.get("linkinfo", {}).get("info_kind", "link")
            return f", but by the {'VLAN' if kind == 'vlan' else kind} {name} on it"
        if found[uplink].get("link") == name:
            return f", but by {name}, which it is on"
    return ""


def _top(found: Mapping[str, Any], name: str) -> str:
    """The uppermost master: of a bond in a bridge, the bridge."""
    seen = {name}
    while (master := found.get(name, {}).get("master")) and master not in seen:
        seen.add(master)
        name = master
    return name


def _has_address(link: Mapping[str, Any]) -> bool:
    return any(entry["scope"] == "global" for entry in link["addr_info"])


def _and(names: Iterable[str]) -> str:
    return " and ".join(names)


def site_of(uplink: str, lan: str, gateway: str, guests: Iterable[str], port: int, peers: Iterable[str] = ()) -> Site:
    """From texts: addresses of the gateway with prefix length, those of peers alone."""
    return Site(
        uplink,
        lan,
        gateway,
        tuple(ip_interface(guest).ip for guest in guests),
        port,
        tuple(map(ip_address, peers)),
    )
