"""By which devices a gateway's packets leave its host, as `ip route get` would answer for a link that is yet to come.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from pulumi_wgnode.hosts.networks.routing import Route, Routing, Rule

Address = IPv4Address | IPv6Address

WIDE = 3
"""Prefix length up to which a route is one to the outside: 0.0.0.0/0, halves of it, 2000::/3."""
_OUTSIDE: dict[int, list[Address]] = {
    4: [ip_address(block << 29 | 1) for block in range(7)],
    6: [ip_address("2000::1")],
}
"""An address of each /3, which only routes to the outside are looked up for; of IPv6 only 2000::/3 is given out."""


@dataclass(frozen=True)
class Packet:
    """What rules choose by, of a packet that the host forwards: where it came in, its source and UDP source port."""

    interface: str
    source: Address
    port: int


def leaves_by(routing: Routing, packet: Packet, to: Address | None = None) -> tuple[str, ...]:
    """The devices that it may leave by, sorted; `to` is None for anywhere outside. None: it leaves nowhere."""
    wanted = [to] if to else _OUTSIDE[packet.source.version]
    found = {device for one in wanted for route in _taken(routing, packet, one, to is None) for device in route.devices}
    return tuple(sorted(found))


def is_wide(route: Route) -> bool:
    return route.to.prefixlen <= WIDE


def outward(routing: Routing) -> frozenset[str]:
    """The devices of all routes to the outside, whatever their table and metric."""
    wide = (route for route in routing.routes if is_wide(route) and route.kind == "unicast")
    return frozenset(device for route in wide for device in route.devices)


def _taken(routing: Routing, packet: Packet, to: Address, only_wide: bool) -> list[Route]:
    """Those of one prefix that it may take; none where it is dropped, or kept by the host itself."""
    for rule in _rules(routing, packet, to):
        if rule.table:
            found = _best(routing, rule.table, packet, to, only_wide)
            if found and found[0].kind != "throw" and found[0].to.prefixlen > rule.suppressed:
                return [route for route in found if route.kind == "unicast"]
        elif rule.action not in ("", "nop"):
            return []  # unreachable, prohibit, blackhole
    return []


def _rules(routing: Routing, packet: Packet, to: Address) -> Iterator[Rule]:
    """Those that are for it, in their order."""
    skipped_to = 0
    rules = sorted((rule for rule in routing.rules if rule.version == to.version), key=lambda rule: rule.priority)
    priorities = {rule.priority for rule in rules}
    for rule in rules:
        if rule.priority < skipped_to or not _holds(rule, packet, to):
            continue
        if "goto" in rule.raw:
            aim = int(rule.raw["goto"])
            skipped_to = aim if aim in priorities else skipped_to  # else it is passed over
        else:
            yield rule


def _best(routing: Routing, table: str, packet: Packet, to: Address, only_wide: bool) -> list[Route]:
    """Of the longest prefix, for the narrowest source, by the smallest metric; several where routers of several links
    announced it."""
    fit = [one for one in routing.routes if one.table == table and one.to.version == to.version and to in one.to]
    fit = [one for one in fit if not one.special and (one.source is None or packet.source in one.source)]
    fit = [one for one in fit if (one.devices or one.kind != "unicast") and (is_wide(one) or not only_wide)]
    longest = max(map(_lengths, fit), default=(0, 0))
    fit = [one for one in fit if _lengths(one) == longest]
    smallest = min((one.metric for one in fit), default=0)
    return [one for one in fit if one.metric == smallest]


def _lengths(route: Route) -> tuple[int, int]:
    return route.to.prefixlen, route.source.prefixlen if route.source else 0


def _holds(rule: Rule, packet: Packet, to: Address) -> bool:
    """As fib_rule_match() of the kernel, for a forwarded packet: no mark, no type of service, no VRF, root's."""
    raw = rule.raw
    holds = (
        packet.source in rule.source
        and to in rule.to
        and rule.interface in ("", packet.interface)
        and "oif" not in raw
        and int(raw.get("fwmark", "0"), 0) == 0
        and int(raw.get("tos", "0"), 0) == 0
        and "l3mdev" not in raw
        and "tun_id" not in raw
        and int(raw.get("uid_start", 0)) == 0
        and raw.get("ipproto", "udp") in ("udp", "17", 17)
        and _port(raw, "sport", packet.port)
        and not any(name.startswith("dport") for name in raw)
    )
    return holds != rule.inverted


def _port(raw: Mapping[str, Any], name: str, port: int) -> bool:
    first = int(raw.get(name, raw.get(f"{name}_start", 0)))
    last = int(raw.get(name, raw.get(f"{name}_end", 65535)))
    return first <= port <= last
