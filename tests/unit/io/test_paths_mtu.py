"""The interface's MTU where nobody has set it: as large as the best way needs, and no peer bears what others need."""

from __future__ import annotations

import pytest

from tests.unit.io.ways import Node, World
from tests.unit.protocol.pairs import A4, A6, B4, B6, packet
from wgnode.io.way_limit import LARGEST, UNSEARCHED
from wgnode.pathmtu.known import Evidence
from wgnode.protocol import Endpoint
from wgnode.protocol.plane import Limit

NETWORK = {"b": ("10.0.0.0/8",)}
"""No single address: nobody says whom to ask."""


def by_itself(world: World) -> list[int]:
    """At a, as `wgnode device` has it: what it was raised to."""
    raised: list[int] = []

    def raise_to(mtu: int) -> None:
        raised.append(mtu)
        world.a.device.mtu = mtu

    world.a.device.mtu = LARGEST
    world.a.paths.raise_mtu = raise_to
    world.a.paths.mtu_follows = True
    return raised


def hello(node: Node) -> None:
    node.send(packet(A4, B4))


def limit(world: World) -> Limit | None:
    return world.a.way.limit


def over_ipv6(world: World) -> None:
    for node, other, at in ((world.a, world.b, "2001:db8::b"), (world.b, world.a, "2001:db8::a")):
        other.at = Endpoint(at, 51820)
        node.device.set_endpoint(node.device.peers[0], other.at)


def test_the_first_packets_over_ipv4_have_all_that_the_usual_wire_takes() -> None:
    world = World()
    by_itself(world)
    hello(world.a)
    world.run(0.06)  # there is a session, and no probe has been answered yet
    assert world.a.known.evidence is Evidence.UNKNOWN
    assert limit(world) == Limit(1440, 516)
    world.run(1.0)
    assert limit(world) == Limit(1440, 1440)


def test_over_ipv6_they_have_twenty_bytes_less_from_the_beginning_on() -> None:
    world = World()
    by_itself(world)
    over_ipv6(world)
    hello(world.a)
    world.run(0.06)
    assert world.a.known.evidence is Evidence.UNKNOWN
    assert limit(world) == Limit(1420, 1200)
    world.run(1.0)
    assert limit(world) == Limit(1420, 1420)


@pytest.mark.parametrize("allowed", [NETWORK, None])
def test_a_peer_that_cant_be_asked_or_does_not_answer_has_what_any_family_takes(
    allowed: dict[str, tuple[str, ...]] | None,
) -> None:
    world = World(allowed=allowed)
    by_itself(world)
    world.b.answers = allowed is not None
    hello(world.a)
    world.run(10.0)
    assert world.a.known.evidence is Evidence.UNKNOWN
    assert limit(world) == Limit(UNSEARCHED, 516)


def test_who_sets_the_interfaces_mtu_decides_for_those_too() -> None:
    world = World(allowed=NETWORK)
    by_itself(world)
    hello(world.a)
    world.run(1.0)
    assert limit(world) == Limit(UNSEARCHED, 516)
    world.a.paths.raise_mtu, world.a.paths.mtu_follows = None, False
    assert limit(world) == Limit(65535, 516)


def test_a_way_of_jumbo_frames_raises_it_and_a_smaller_one_beside_it_keeps_its_limit() -> None:
    world = World(a_to_b=9000)
    world.a.link = 9000
    raised = by_itself(world)
    hello(world.a)
    world.run(3.0)
    assert raised[-1] == 8940 == world.a.device.mtu
    assert raised == sorted(raised), "never lowered"
    world.a.mtu = 1500
    world.a.paths.sockets_changed()
    world.a.flush()
    world.run(3.0)
    assert limit(world) == Limit(1440, 1440)
    assert raised[-1] == 8940


def test_a_link_of_jumbo_frames_before_a_usual_path_raises_nothing() -> None:
    world = World()
    world.a.link = 9000
    raised = by_itself(world)
    hello(world.a)
    world.run(5.0)
    assert (raised, world.a.known.size) == ([], 1500)
    assert sum(world.a.probes) <= 40 * 1500


def test_where_it_is_not_to_be_raised_nothing_larger_is_searched() -> None:
    """A gateway's, whose own links carry no more."""
    world = World(a_to_b=9000)
    world.a.link = 9000
    by_itself(world)
    world.a.paths.raise_mtu = None
    hello(world.a)
    world.run(3.0)
    assert world.a.known.size == max(world.a.probes) == LARGEST + 80


def test_addresses_of_both_families_inside_change_nothing() -> None:
    world = World()
    raised = by_itself(world)
    world.a.send(packet(A6, B6))
    world.run(2.0)
    assert (raised, limit(world)) == ([], Limit(1440, 1440))
