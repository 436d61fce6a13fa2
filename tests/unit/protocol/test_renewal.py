"""Sessions are renewed under traffic without losing a packet, whatever overtakes what."""

from __future__ import annotations

import pytest

from tests.unit.protocol.pairs import A4, B4, Node, packet, pair
from tests.unit.protocol.slow_wire import SlowWire
from wgnode.protocol.messages import INITIATION


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("talkers", ["a", "b", "ab"])
def test_no_packet_is_lost_over_many_renewals(talkers: str, seed: int) -> None:
    p = pair()
    wire = SlowWire(p, seed, 0.2)
    for n in range(1500):
        if "a" in talkers:
            p.a.send(packet(A4, B4, b"%d" % n))
        if "b" in talkers:
            p.b.send(packet(B4, A4, b"%d" % n))
        wire.advance(0.5)
    wire.advance(1)
    expected = [b"%d" % n for n in range(1500)]
    if "a" in talkers:
        assert sorted(p.b.delivered) == sorted(packet(A4, B4, n) for n in expected)
    if "b" in talkers:
        assert sorted(p.a.delivered) == sorted(packet(B4, A4, n) for n in expected)
    assert p.a.device.counters == {}
    assert p.b.device.counters == {}
    assert len(p.sent(p.a, INITIATION)) + len(p.sent(p.b, INITIATION)) >= 5
    for node in (p.a, p.b):
        assert_no_index_leads_nowhere(node)


@pytest.mark.parametrize("seed", range(6))
def test_no_packet_is_lost_when_renewals_cross(seed: int) -> None:
    p = pair().connect()
    p.b_to_a()
    p.clear()
    wire = SlowWire(p, seed, 0.3)
    sent = 0
    for round_ in range(3):
        wire.advance(100)
        for n in range(60):
            if n == 20:
                for node in (p.a, p.b):
                    force_renewal(node, p.now)
            p.a.send(packet(A4, B4, b"%d.%d" % (round_, n)))
            p.b.send(packet(B4, A4, b"%d.%d" % (round_, n)))
            sent += 1
            wire.advance(0.02)
    wire.advance(5)
    assert len(p.sent(p.a, INITIATION)) >= 3
    assert len(p.sent(p.b, INITIATION)) >= 3
    assert (len(p.a.delivered), len(p.b.delivered)) == (sent, sent)
    assert (p.a.device.counters, p.b.device.counters) == ({}, {})
    for node in (p.a, p.b):
        assert_no_index_leads_nowhere(node)


def assert_no_index_leads_nowhere(node: Node) -> None:
    """The index table holds the peer's sessions and outstanding handshake, and nothing that ended."""
    known = {keypair.local_index for keypair in node.peer.slots.all()}
    if node.peer.outstanding:
        known.add(node.peer.outstanding.local_index)
    assert set(node.device._tables.indices) == known
    assert len(known) <= 6


def force_renewal(node: Node, now: float) -> None:
    """Make the node an initiator whose session is due."""
    session = node.peer.session
    assert session is not None
    session.is_initiator = True
    session.created = min(session.created, now - 121)


def test_a_lost_response_or_confirmation_costs_no_packet_of_the_running_session() -> None:
    p = pair().connect()
    p.jump(121)
    lost: list[int] = []

    def lose_the_first_response(sender: Node, data: bytes) -> bool:
        if data[0] == 2 and not lost:
            lost.append(1)
            return False
        return True

    p.wire = lose_the_first_response
    for n in range(100):
        p.a.send(packet(A4, B4, b"%d" % n))
        p.b.send(packet(B4, A4, b"%d" % n))
        p.deliver()
        p.advance(0.1)
    assert lost
    assert len(p.sent(p.a, INITIATION)) == 2
    for node in (p.a, p.b):
        assert_no_index_leads_nowhere(node)
    assert (len(p.a.delivered), len(p.b.delivered)) == (100, 100)


def test_a_peer_that_lost_its_memory_is_reached_again() -> None:
    p = pair().connect()
    p.b.device.stop(p.now)
    p.b.device.start(p.now)
    p.a_to_b(b"lost")
    assert p.b.delivered == []
    p.advance(16)
    p.a_to_b(b"again")
    assert p.b.delivered == [packet(A4, B4, b"again")]
