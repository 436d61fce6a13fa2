"""What the firewall of a gateway's host lets through, as data: the one place where its rules are made.

Traffic of the uplink and of the link to the gateway is judged, and what comes from outside by an interface that the
table does not know (unknown.py); every table that is not ours is left alone, and so is every other interface, but for
ways that would be there only because we switch forwarding on. A gateway is trusted with nothing of its host's: it
sends WireGuard's datagrams and gets them, and what its devices send to the internet, where they may (egress.py).
Expressions are those of `nft --json` (libnftables-json(5)), so that what is wanted and what `nft -j` lists compare.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Literal

from wgnode.firewall import egress, forwards, unknown
from wgnode.firewall.egress import Egress
from wgnode.firewall.expressions import (
    ACCEPT,
    CLEARED,
    DROP,
    FROM_BRIDGE,
    PASSED,
    UNMARKED,
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
CLOSED_TABLE = f"{PLAIN_TABLE}_closed"
"""Of a host that we switched forwarding on of, while there is no gateway's table (meanwhile.py)."""
OTHER_GATEWAYS = (PLAIN_TRANSIT, "wgnwan-*")
"""The transit links of all gateways of a host (wgnode.image.paths), as nftables writes patterns: of links no other."""

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
    `left_alone` are interfaces of which nothing is judged, as the LAN's; `inside` public networks that the host has by
    others than those that lead outside, and `outside` private ones that it has by the uplink. `egress` are devices that
    may leave by the uplink.
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
    left_alone: tuple[str, ...] = ()
    inside: tuple[Network, ...] = ()
    outside: tuple[Network, ...] = ()
    egress: Egress | None = None


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
        *_around(firewall),
        *_of_unknown(firewall),
        *_of_devices(firewall),
    )


def _of_devices(firewall: Firewall) -> Iterable[Chain]:
    """Before the host's own translations, which would give all of them one address. None where no device leaves."""
    chains = (
        Chain("prerouting-egress", "nat", -101, tuple(egress.arriving(firewall))),
        Chain("postrouting-egress", "nat", 99, tuple(egress.leaving(firewall))),
    )
    return (chain for chain in chains if chain.rules)


def _around(firewall: Firewall) -> Iterable[Chain]:
    """Before all and after all tables' chains: somebody else's mark lets nothing in, and nobody sees ours, not even a
    socket. What no table has let in is dropped between."""
    uplink = coming_from(firewall.uplink)
    ends = {"input": (), "forward": tuple(forwards.closed(firewall.before, OTHER_GATEWAYS, UNMARKED))}
    for hook, further in ends.items():
        judged = () if further else (uplink,)
        yield Chain(f"{hook}-begin", "filter", -10, (Rule(f"{hook}-begin", (*judged, CLEARED)),))
        yield Chain(f"{hook}-end", "filter", 10, (Rule(f"{hook}-drop", (uplink, UNMARKED, DROP)), *further))
        yield Chain(f"{hook}-after", "filter", 20, (Rule(f"{hook}-after", (*judged, CLEARED)),))


def _of_unknown(firewall: Firewall) -> Iterable[Chain]:
    """Each behind the one that judges the uplink, by the same rules."""
    for hook, may_pass in (("input", _let_in(firewall, "input-unknown", ())), ("forward", _beyond(firewall))):
        behind = (
            ("-begin", -9, (Rule(f"{hook}-unknown-clear", (CLEARED,)),)),
            ("", 1, tuple(may_pass)),
            ("-end", 11, (Rule(f"{hook}-unknown-drop", (UNMARKED, DROP)),)),
            ("-after", 21, (Rule(f"{hook}-unknown-clear-after", (CLEARED,)),)),
        )
        for what, priority, rules in behind:
            name = f"{hook}-unknown{what}"
            yield Chain(name, "filter", priority, (*unknown.left_alone(firewall, name), *rules))


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
    yield from _let_in(firewall, "input", (coming_from(firewall.uplink),))
    gateway = coming_from(firewall.transit_interface)
    icmpv6 = match(payload("icmpv6", "type"), set_of(GATEWAY_ICMPV6_TYPES))
    yield Rule("input-gateway-established", (gateway, established(), ACCEPT))
    yield Rule("input-gateway-icmp", (gateway, match(payload("icmp", "type"), set_of(ICMP_TYPES)), ACCEPT))
    yield Rule("input-gateway-icmpv6", (gateway, icmpv6, ACCEPT))
    yield Rule("input-gateway-drop", (gateway, DROP))


def _let_in(firewall: Firewall, name: str, when: tuple[Expression, ...]) -> Iterable[Rule]:
    """What may reach the host itself from outside."""
    yield Rule(f"{name}-established", (*when, established(), *PASSED))
    yield Rule(f"{name}-icmp", (*when, match(payload("icmp", "type"), set_of(ICMP_TYPES)), *PASSED))
    yield Rule(f"{name}-icmpv6", (*when, match(payload("icmpv6", "type"), set_of(ICMPV6_TYPES)), *PASSED))
    yield Rule(f"{name}-dhcp-v4", (*when, match(payload("udp", "sport"), 67), udp_to(68), *PASSED))
    # A server may answer from any of its addresses, but to the one that the client asked from.
    link_local = match(payload("ip6", "daddr"), prefix(ip_network("fe80::/10")))
    yield Rule(f"{name}-dhcp-v6", (*when, link_local, udp_to(546), *PASSED))
    yield from _open(when, f"{name}-ssh", Allow("tcp", firewall.ssh_port, firewall.management))
    for allowed in _by_port(firewall.allow):
        yield from _open(when, f"{name}-allow-{allowed.protocol}-{allowed.port}", allowed)


def _forward(firewall: Firewall) -> Iterable[Rule]:
    yield from egress.refused(firewall)
    uplink = coming_from(firewall.uplink)
    yield Rule("forward-established", (uplink, established(), *PASSED))
    # Frames that only pass the bridge which is the uplink, where br_netfilter shows them to this table.
    yield Rule("forward-bridged", (uplink, going_to(firewall.uplink), FROM_BRIDGE, *PASSED))
    to_gateway = going_to(firewall.transit_interface)
    translated = match({"ct": {"key": "status"}}, "dnat", "in")
    yield Rule("forward-wireguard", (uplink, to_gateway, udp_to(firewall.listen_port), translated, *PASSED))
    yield from egress.let_in(firewall)
    yield Rule("forward-to-gateway-new", (uplink, to_gateway, DROP))
    # Each gateway's table judges what goes to it: here it only passes, or this table would cut off all the others.
    for number, pattern in enumerate(OTHER_GATEWAYS, 1):
        if pattern != firewall.transit_interface:
            yield Rule(f"forward-other-gateway-{number}", (uplink, going_to(pattern), translated, *PASSED))
    yield from forwards.allowed("forward", (uplink,), firewall.forward, firewall.keep, firewall.before)
    gateway = coming_from(firewall.transit_interface)
    yield Rule("forward-gateway-established", (gateway, established(), ACCEPT))
    for network, guest in zip(firewall.transit, firewall.guest, strict=True):
        own = match(payload(family(network), "saddr"), guest)
        from_port = match(payload("udp", "sport"), firewall.listen_port)
        yield Rule(f"forward-gateway-v{network.version}", (gateway, going_to(firewall.uplink), own, from_port, ACCEPT))
    yield from egress.forwarded(firewall)
    yield Rule("forward-gateway-drop", (gateway, DROP))
    # Answers may come back by another interface than the uplink.
    yield Rule("forward-to-gateway-established", (to_gateway, established(), ACCEPT))
    yield Rule("forward-to-gateway-drop", (to_gateway, DROP))
    yield from forwards.opened(firewall.forward, firewall.before)


def _beyond(firewall: Firewall) -> Iterable[Rule]:
    """Behind the host it reaches what the uplink does, but the gateway itself, which the rules of forwarding close."""
    name = "forward-unknown"
    yield Rule(f"{name}-established", (established(), *PASSED))
    translated = match({"ct": {"key": "status"}}, "dnat", "in")
    for number, pattern in enumerate(OTHER_GATEWAYS, 1):
        if pattern != firewall.transit_interface:
            yield Rule(f"{name}-other-gateway-{number}", (going_to(pattern), translated, *PASSED))
    yield from forwards.allowed(name, (), firewall.forward, firewall.keep, firewall.before)
    yield Rule(f"{name}-bridged", (*unknown.ONLY_BRIDGED, *PASSED))


def _open(when: tuple[Expression, ...], name: str, allowed: Allow) -> Iterable[Rule]:
    """One rule, or one a family where sources are given."""
    port = match(payload(allowed.protocol, "dport"), allowed.port)
    if not allowed.sources:
        yield Rule(name, (*when, port, *PASSED))
    for version in (4, 6):
        if source := sources(allowed.sources, version):
            yield Rule(f"{name}-v{version}", (*when, source, port, *PASSED))


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
