"""Both data planes make the same verdicts under a policy, packet by packet, whatever comes in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import planes
from tests.unit.policy.crossing import (
    ALICE,
    ALICE6,
    BOB,
    BOB6,
    GATEWAY,
    GUESTS,
    LANS,
    MACHINE,
    MACHINE6,
    NETWORKS,
    PUBLIC,
    PUBLIC6,
    SITE,
    SITE6,
    STAFF,
    TCP,
    UDP,
    Crossing,
    first,
    icmp,
    ip,
    later,
    ping,
    policy,
    pong,
    tcp,
    udp,
    unreachable,
)
from wgnode.dataplane.choose import FAST, PYTHON, Unavailable, choose
from wgnode.policy.model import Policy, Rule

FOUR, SIX = (ALICE, BOB, MACHINE, SITE, PUBLIC, GATEWAY), (ALICE6, BOB6, MACHINE6, SITE6, PUBLIC6)
PAIRS = st.one_of(*(st.tuples(st.sampled_from(each), st.sampled_from(each)) for each in (FOUR, SIX)))
PORTS = st.sampled_from((53, 443, 4000))
HOP, DESTINATION = bytes((60, 0)) + bytes(6), bytes((UDP, 0)) + bytes(6)


def behind_extensions(source: str, destination: str) -> bytes:
    """UDP behind two extension headers, or behind options."""
    plain = udp(source, destination)
    if ":" in source:
        return ip(source, destination, 0, HOP + DESTINATION + plain[40:])
    return b"\x46" + plain[1:3] + bytes((plain[3] + 4,)) + plain[4:20] + bytes((1, 1, 1, 0)) + plain[20:]


def cited(pair: tuple[str, str], port: int, kind: Callable[..., bytes]) -> bytes:
    """An error for a packet's sender, from whom that was for."""
    source, destination = pair
    return unreachable(destination, source, kind(source, destination, port))


PLAIN = st.one_of(
    st.builds(lambda pair, port, sport: udp(pair[0], pair[1], port, sport), PAIRS, PORTS, PORTS),
    st.builds(
        lambda pair, port, sport, flags: tcp(pair[0], pair[1], port, sport, flags),
        PAIRS,
        PORTS,
        PORTS,
        st.sampled_from((0x02, 0x12, 0x10, 0x11, 0x04)),
    ),
    st.builds(lambda pair, of: of(*pair), PAIRS, st.sampled_from((ping, pong, behind_extensions))),
    st.builds(lambda pair: ip(pair[0], pair[1], 47, b"tunnel"), PAIRS),
    st.builds(lambda pair, kind: icmp(pair[0], pair[1], kind), PAIRS, st.sampled_from((0, 3, 13, 135))),
)
PACKETS = st.one_of(
    PLAIN,
    PLAIN.map(first),
    st.builds(
        lambda pair, protocol, more: later(pair[0], pair[1], protocol, more=more),
        PAIRS,
        st.sampled_from((TCP, UDP)),
        st.booleans(),
    ),
    st.builds(cited, PAIRS, PORTS, st.sampled_from((udp, tcp))),
    st.builds(
        lambda packet, at, byte: packet[:at] + bytes((byte,)) + packet[at + 1 :],
        PLAIN,
        st.integers(20, 47),
        st.integers(0, 255),
    ),
    st.builds(lambda packet, size: packet[:size], PLAIN.map(first), st.integers(20, 48)),
)
WEB = Rule("web", networks=LANS, protocols=(TCP,), ports=((443, 443), (4000, 4001)))
NAMES = Rule("names", internet=True, protocols=(UDP,), ports=((53, 53),))
STAFFS = Rule("staff", classes=(STAFF,))
OWN = Rule("own", networks=(f"{GATEWAY}/32",))
POLICIES = st.one_of(
    st.none(),
    st.builds(
        lambda rules, incoming: policy(*rules, incoming=incoming),
        st.lists(st.sampled_from((WEB, NAMES, STAFFS, OWN)), max_size=3),
        st.sampled_from(((), (WEB,), (Rule("all", networks=LANS),))),
    ),
)
CLASSES = st.dictionaries(st.sampled_from(("alice", "bob")), st.sampled_from((0, STAFF, GUESTS, 9)))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("carry"), st.sampled_from(tuple(NETWORKS)), PACKETS),
        st.tuples(st.just("offer"), PACKETS),
        st.tuples(st.just("wait"), st.sampled_from((0.5, 29.9, 30.0, 60.0, 120.0, 240.0, 300.0, 7440.0))),
        st.tuples(st.just("judge"), POLICIES, CLASSES),
        st.tuples(st.just("end"), st.sampled_from(("alice", "bob"))),
        st.tuples(st.just("move"), st.sampled_from(("alice", "bob")), st.sampled_from((SITE, ALICE, BOB6))),
    ),
    max_size=40,
)


def crossing(name: str, said: Policy | None) -> Crossing:
    before = planes._new_plane
    planes._new_plane = choose(name).new_plane
    try:
        return Crossing(said)
    finally:
        planes._new_plane = before


def do(c: Crossing, step: tuple[Any, ...]) -> Any:
    match step:
        case "carry", name, packet:
            return c.carry(name, packet)
        case "offer", packet:
            return c.offer(packet)
        case "wait", seconds:
            c.clock.now += seconds
        case "judge", said, classes:
            c.judge(said, classes)
        case "end", name:
            c.gateway.plane.end_flows(c.peer(name).number)
        case "move", name, address:
            c.gateway.add_allowed_ip(c.peer(name), address)
    return None


def told(c: Crossing) -> list[Any]:
    names = {c.peer(name).number: name for name in NETWORKS}
    return sorted((names[one.peer], *one[1:]) for one in c.denials())


@pytest.fixture(autouse=True)
def both() -> None:
    try:
        choose(FAST)
    except Unavailable as missing:
        pytest.skip(str(missing))


@settings(deadline=None, max_examples=25)
@given(POLICIES, STEPS)
def test_every_packet_has_the_same_verdict(said: Policy | None, steps: list[tuple[Any, ...]]) -> None:
    plain, compiled = crossing(PYTHON, said), crossing(FAST, said)
    for step in steps:
        assert do(plain, step) == do(compiled, step), step
        assert told(plain) == told(compiled), step
        assert plain.gateway.access.flows == compiled.gateway.access.flows, step
        assert plain.gateway.counters == compiled.gateway.counters, step
