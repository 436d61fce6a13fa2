"""A packet as far as a rule set can ask about it, and the ways that a site's packets take through its host. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from wgnode.firewall.rules import PLAIN_TRANSIT
from wgnode.topology.model import DEFAULT_LISTEN_PORT

Network = IPv4Network | IPv6Network
Family = Literal["ip", "ip6"]
Hook = Literal["prerouting", "input", "forward", "postrouting"]
FAMILIES: tuple[Family, ...] = ("ip", "ip6")


@dataclass(frozen=True)
class Packet:
    """None is what is not said of it: any interface, address or port, so that a rule that asks cannot be judged surely.

    `state` is connection tracking's; `original` is the port before it was translated; `bridged`, whether a bridge shows
    its frame to the rules of IP (br_netfilter).
    """

    family: Family
    protocol: Literal["tcp", "udp", "icmp", "icmpv6"]
    iif: str | None = None
    oif: str | None = None
    state: Literal["new", "established", "invalid", "untracked"] = "new"
    source: Network | None = None
    destination: Network | None = None
    sport: int | None = None
    dport: int | None = None
    original: int | None = None
    flags: frozenset[str] = frozenset()
    icmp: str | None = None
    dnat: bool = False
    bridged: bool = False
    bridge: str | None = None
    hook: Hook = "forward"


@dataclass(frozen=True)
class Path:
    """A way through the host that a site needs. Without one of the packets `needed` it is dead; `further` ones, it
    may do without."""

    name: str
    needed: tuple[Packet, ...]
    further: tuple[Packet, ...] = ()

    @property
    def hook(self) -> Hook:
        return self.needed[0].hook

    @property
    def ways(self) -> set[tuple[str | None, str | None]]:
        """The pairs of interfaces, in and out."""
        return {(packet.iif, packet.oif) for packet in self.needed}


@dataclass(frozen=True)
class Site:
    """What a gateway needs of its host. `guests` are its addresses on the transit link, `remote` the networks that the
    host routes to it through the bridge, `bridged` the families whose bridged frames the rules of IP see, `untracked`
    those of which it does not track what goes from the bridge to the bridge."""

    transit: str = PLAIN_TRANSIT
    bridge: str = "wgnode-br0"
    uplink: str | None = None
    listen_port: int = DEFAULT_LISTEN_PORT
    families: tuple[Family, ...] = FAMILIES
    routed: tuple[Family, ...] = FAMILIES
    guests: Mapping[Family, Network] = field(default_factory=dict)
    remote: Mapping[Family, tuple[Network, ...]] = field(default_factory=dict)
    bridged: frozenset[Family] = frozenset()
    untracked: frozenset[Family] = frozenset()


def paths(site: Site) -> Iterator[Path]:
    for family in site.families:
        yield from _transit(site, family)
        if family in site.routed:
            yield _routed(site, family)
        if family in site.bridged:
            yield _bridged(site, family)
    if "ip6" in site.families:
        yield from _neighbours(site)


def bridge_paths(site: Site) -> Iterator[Path]:
    """Through the tables of bridges themselves, which see every frame."""
    yield from (replace(_bridged(site, family), name=_frames(site)) for family in site.families)


def _transit(site: Site, family: Family) -> Iterator[Path]:
    base = Packet(family, "udp")
    guest = site.guests.get(family)
    inward = replace(base, iif=site.uplink, oif=site.transit, destination=guest, dport=site.listen_port, dnat=True)
    outward = replace(base, iif=site.transit, oif=site.uplink, source=guest, sport=site.listen_port)
    uplink = site.uplink or "the uplink"
    for packet, way in ((inward, f"{uplink} to {site.transit}"), (outward, f"{site.transit} to {uplink}")):
        yield Path(f"WireGuard's datagrams from {way}", (packet, replace(packet, state="established")))


def _routed(site: Site, family: Family) -> Path:
    """What machines of the LAN send to other sites, which the host forwards into the LAN again, to the gateway.

    The gateway itself answers them directly, so the host sees half of each connection, and connection tracking takes
    all but the first packet of TCP for invalid; with br_netfilter it sees both halves.
    """
    first, later = ("new", "established") if family in site.bridged else ("new", "invalid")
    if family in site.untracked:
        first = later = "untracked"
    packets = []
    for remote in site.remote.get(family) or (None,):
        base = Packet(family, "tcp", iif=site.bridge, oif=site.bridge, destination=remote)
        packets += [
            replace(base, flags=frozenset({"syn"}), state=first),  # type: ignore[arg-type]
            replace(base, flags=frozenset({"ack"}), state=later),  # type: ignore[arg-type]
        ]
    name = f"the LAN's packets to other sites, which are routed from {site.bridge} to {site.bridge}"
    return Path(name, tuple(packets), tuple(_datagrams(packets[0])))


def _bridged(site: Site, family: Family) -> Path:
    base = Packet(family, "tcp", iif=site.bridge, oif=site.bridge, bridged=True, bridge=site.bridge)
    packets = (
        replace(base, flags=frozenset({"syn"})),
        replace(base, flags=frozenset({"ack"}), state="established"),
    )
    return Path(f"{_frames(site)}, which br_netfilter shows to it", packets, tuple(_datagrams(packets[0])))


def _frames(site: Site) -> str:
    return f"frames between the LAN and the gateway within {site.bridge}"


def _datagrams(like: Packet) -> Iterator[Packet]:
    base = replace(like, flags=frozenset(), source=None)
    yield replace(base, protocol="udp")
    yield replace(base, protocol="icmp" if like.family == "ip" else "icmpv6", icmp="echo-request")


def _neighbours(site: Site) -> Iterator[Path]:
    near = IPv6Network("fe80::/10")
    packets = tuple(
        Packet("ip6", "icmpv6", iif=site.transit, state="untracked", source=near, icmp=kind, hook="input")
        for kind in ("nd-neighbor-solicit", "nd-neighbor-advert")
    )
    yield Path(f"neighbour discovery on {site.transit}", packets)
