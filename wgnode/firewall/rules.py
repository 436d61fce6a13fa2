"""What the firewall of a gateway's host lets through, as data: the one place where its rules are made.

Only traffic of the uplink and of the link to the gateway is judged; every table that is not ours is left alone, and so
is every other interface, but for ways that would be there only because we switch forwarding on. A gateway is trusted
with nothing of its host's: it sends WireGuard's datagrams and gets them.
Expressions are those of `nft --json` (libnftables-json(5)), so that what is wanted and what `nft -j` lists compare.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Literal

from wgnode.firewall import forwards
from wgnode.firewall.expressions import (
    Expression,
    Network,
    Rule,
    coming_from,
    established,
    family,
    going_to,
    match,
    payload,
    prefix,
    set_of,
    sources,
    udp_to,
)
from wgnode.firewall.forwards import Before, Forward

AS_IT_WAS = Before()  # of a host that forwarded everything
PLAIN_TABLE, PLAIN_TRANSIT = "wgnode", "wgnode-wan"
"""Of a host's first gateway; those of further ones are given."""
OTHER_GATEWAYS = (PLAIN_TRANSIT, "wgnwan-*")
"""The transit links of all gateways of a host (wgnode.image.paths), as nftables writes patterns: of links no other."""
LET_IN = 0x01000000
"""A bit of the packet's mark, only within the input hook: one of the tables lets it in. The packet passes the base
chains of all of them, so none may drop before each has had its say (docs/decisions/two-firewalls.md)."""

# What an address family cannot do without: errors, path MTU discovery, neighbour discovery (RFC 4890, section 4.4).
ICMP_TYPES = ("destination-unreachable", "echo-request", "parameter-problem", "time-exceeded")
ICMPV6_TYPES = (
    *ICMP_TYPES,
    "mld-listener-query",
    "nd-neighbor-advert",
    "nd-neighbor-solicit",
    "nd-router-advert",
    "packet-too-big",
)
# Of the gateway, which is neither a router to its host nor asks who listens to multicast.
GATEWAY_ICMPV6_TYPES = tuple(one for one in ICMPV6_TYPES if one not in ("mld-listener-query", "nd-router-advert"))


@dataclass(frozen=True)
class Allow:
    """A port of the host that the uplink may reach; `sources` empty means from anywhere."""

    protocol: Literal["tcp", "udp"]
    port: int
    sources: tuple[Network, ...] = ()


@dataclass(frozen=True)
class Firewall:
    """`transit` are the networks of the link to the gateway, `guest` the gateway's addresses in them.

    `forward` and `keep` are what the uplink may reach behind the host, `before` how it forwarded without us.
    """

    uplink: str
    transit: tuple[Network, ...]
    guest: tuple[str, ...]
    listen_port: int
    management: tuple[Network, ...]
    ssh_port: int = 22
    allow: tuple[Allow, ...] = ()
    transit_interface: str = PLAIN_TRANSIT
    forward: tuple[Forward, ...] = ()
    keep: bool = False
    before: Before = AS_IT_WAS


@dataclass(frozen=True)
class Chain:
    name: str
    kind: str
    priority: int
    rules: tuple[Rule, ...]

    @property
    def hook(self) -> str:
        """Chains of one hook have what they are for behind its name."""
        return self.name.partition("-")[0]


def ruleset(firewall: Firewall) -> tuple[Chain, ...]:
    """The chains of our table, each named after the hook that it hangs on."""
    return (
        Chain("prerouting", "nat", -100, tuple(_dnat(firewall))),
        Chain("postrouting", "nat", 100, tuple(_masquerade(firewall))),
        Chain("input", "filter", 0, tuple(_input(firewall))),
        Chain("forward", "filter", 0, tuple(_forward(firewall))),
        Chain("input-begin", "filter", -10, (_unmarked("input-begin", firewall.uplink),)),
        Chain("input-end", "filter", 10, (_drop_unmarked(firewall.uplink),)),
        Chain("input-after", "filter", 20, (_unmarked("input-after", firewall.uplink),)),
    )


def _dnat(firewall: Firewall) -> Iterable[Rule]:
    """Of what is addressed to the host itself; what it forwards for others at the same port is none of ours."""
    to_host = match({"fib": {"result": "type", "flags": ["daddr"]}}, "local")
    for network, guest in zip(firewall.transit, firewall.guest, strict=True):
        to_port = match(payload("udp", "dport"), firewall.listen_port)
        dnat = {"dnat": {"family": family(network), "addr": guest}}
        yield Rule(f"dnat-v{network.version}", (coming_from(firewall.uplink), to_host, to_port, dnat))


def _masquerade(firewall: Firewall) -> Iterable[Rule]:
    for network in firewall.transit:
        out = going_to(firewall.uplink)
        yield Rule(
            f"masquerade-v{network.version}",
            (out, match(payload(family(network), "saddr"), prefix(network)), {"masquerade": None}),
        )


def _input(firewall: Firewall) -> Iterable[Rule]:
    uplink = coming_from(firewall.uplink)
    accept: Expression = {"accept": None}
    let_in = (_mark("|", LET_IN), accept)
    yield Rule("input-established", (uplink, established(), *let_in))
    yield Rule("input-icmp", (uplink, match(payload("icmp", "type"), set_of(ICMP_TYPES)), *let_in))
    yield Rule("input-icmpv6", (uplink, match(payload("icmpv6", "type"), set_of(ICMPV6_TYPES)), *let_in))
    yield Rule("input-dhcp-v4", (uplink, match(payload("udp", "sport"), 67), udp_to(68), *let_in))
    # A server may answer from any of its addresses, but to the one that the client asked from.
    link_local = match(payload("ip6", "daddr"), prefix(ip_network("fe80::/10")))
    yield Rule("input-dhcp-v6", (uplink, link_local, udp_to(546), *let_in))
    yield from _open(firewall.uplink, "input-ssh", Allow("tcp", firewall.ssh_port, firewall.management))
    for allowed in _by_port(firewall.allow):
        yield from _open(firewall.uplink, f"input-allow-{allowed.protocol}-{allowed.port}", allowed)
    gateway = coming_from(firewall.transit_interface)
    icmpv6 = match(payload("icmpv6", "type"), set_of(GATEWAY_ICMPV6_TYPES))
    yield Rule("input-gateway-established", (gateway, established(), accept))
    yield Rule("input-gateway-icmp", (gateway, match(payload("icmp", "type"), set_of(ICMP_TYPES)), accept))
    yield Rule("input-gateway-icmpv6", (gateway, icmpv6, accept))
    yield Rule("input-gateway-drop", (gateway, {"drop": None}))


def _unmarked(name: str, uplink: str) -> Rule:
    """Before all and after all: somebody else's mark lets nothing in, and nobody sees ours, not even a socket."""
    return Rule(name, (coming_from(uplink), _mark("&", 0xFFFFFFFF ^ LET_IN)))


def _drop_unmarked(uplink: str) -> Rule:
    return Rule("input-drop", (coming_from(uplink), match({"&": [_MARK, LET_IN]}, 0), {"drop": None}))


def _forward(firewall: Firewall) -> Iterable[Rule]:
    uplink = coming_from(firewall.uplink)
    accept: Expression = {"accept": None}
    yield Rule("forward-established", (uplink, established(), accept))
    to_gateway = going_to(firewall.transit_interface)
    translated = match({"ct": {"key": "status"}}, "dnat", "in")
    yield Rule("forward-wireguard", (uplink, to_gateway, udp_to(firewall.listen_port), translated, accept))
    yield Rule("forward-to-gateway-new", (uplink, to_gateway, {"drop": None}))
    # Each gateway's table judges what goes to it: here it only passes, or this table would cut off all the others.
    for number, pattern in enumerate(OTHER_GATEWAYS, 1):
        if pattern != firewall.transit_interface:
            yield Rule(f"forward-other-gateway-{number}", (uplink, going_to(pattern), translated, accept))
    yield from forwards.allowed(firewall.uplink, firewall.forward, firewall.keep, firewall.before)
    yield Rule("forward-drop", (uplink, {"drop": None}))
    gateway = coming_from(firewall.transit_interface)
    yield Rule("forward-gateway-established", (gateway, established(), accept))
    for network, guest in zip(firewall.transit, firewall.guest, strict=True):
        own = match(payload(family(network), "saddr"), guest)
        from_port = match(payload("udp", "sport"), firewall.listen_port)
        yield Rule(f"forward-gateway-v{network.version}", (gateway, going_to(firewall.uplink), own, from_port, accept))
    yield Rule("forward-gateway-drop", (gateway, {"drop": None}))
    # Answers may come back by another interface than the uplink.
    yield Rule("forward-to-gateway-established", (to_gateway, established(), accept))
    yield Rule("forward-to-gateway-drop", (to_gateway, {"drop": None}))
    others = [pattern for pattern in OTHER_GATEWAYS if pattern != firewall.transit_interface]
    yield from forwards.closed(firewall.forward, others, firewall.before)


def _open(uplink: str, name: str, allowed: Allow) -> Iterable[Rule]:
    """One rule, or one a family where sources are given."""
    port = match(payload(allowed.protocol, "dport"), allowed.port)
    let_in: tuple[Expression, ...] = (_mark("|", LET_IN), {"accept": None})
    if not allowed.sources:
        yield Rule(name, (coming_from(uplink), port, *let_in))
    for version in (4, 6):
        if source := sources(allowed.sources, version):
            yield Rule(f"{name}-v{version}", (coming_from(uplink), source, port, *let_in))


def _by_port(allows: Iterable[Allow]) -> list[Allow]:
    """One for each port, from all the sources that were named for it; "from anywhere" swallows the others."""
    ports: dict[tuple[Literal["tcp", "udp"], int], list[Allow]] = {}
    for allowed in allows:
        ports.setdefault((allowed.protocol, allowed.port), []).append(allowed)
    return [
        Allow(
            protocol,
            port,
            () if any(not one.sources for one in same) else tuple(s for one in same for s in one.sources),
        )
        for (protocol, port), same in sorted(ports.items())
    ]


_MARK: Expression = {"meta": {"key": "mark"}}


def _mark(operator: str, bits: int) -> Expression:
    return {"mangle": {"key": _MARK, "value": {operator: [_MARK, bits]}}}
