"""A peer that is closed: its sessions end at once, and none begins, until it is opened again."""

from __future__ import annotations

from wgnode.protocol.messages import INITIATION

from .pairs import A4, B4, packet, pair


def test_a_closed_peer_gets_and_brings_nothing_and_an_opened_one_does_again() -> None:
    p = pair().connect()
    p.b.device.set_closed(p.b.peer, True)
    p.a_to_b()
    p.b_to_a()
    assert (p.a.delivered, p.b.delivered) == ([], [])
    assert p.b.device.counters["unknown_index"] == 1, "the session has ended"
    assert p.b.device.counters["closed"] == 1
    p.advance(200.0)
    assert len(p.sent(p.a, INITIATION)) > 1, "it goes on trying"
    assert p.sent(p.b) == []
    assert p.b.device.counters["closed"] == 1 + len(p.sent(p.a, INITIATION))
    p.b.device.set_closed(p.b.peer, False)
    p.advance(6.0)
    p.clear()
    p.a_to_b()
    p.b_to_a()
    assert (p.a.delivered, p.b.delivered) == ([packet(B4, A4)], [packet(A4, B4)])


def test_what_calls_peers_by_itself_calls_no_closed_one() -> None:
    p = pair()
    p.a.device.set_keepalive(p.a.peer, 5, p.now)
    p.a.device.set_closed(p.a.peer, True)
    p.a.device.initiate(p.a.peer, p.now)
    p.a.device.renew(p.a.peer, p.now)
    p.advance(60.0)
    assert p.sent(p.a) == []


def test_an_answer_to_a_call_of_before_it_was_closed_makes_no_session() -> None:
    p = pair()
    p.a.send(packet(A4, B4))
    (initiation,) = p.a.take()
    p.b.receive(initiation, p.a.endpoint)
    p.a.device.set_closed(p.a.peer, True)
    p.deliver()
    assert p.a.peer.session is None
    assert p.b.delivered == []


def test_a_closed_peer_is_configured_as_before() -> None:
    p = pair()
    before = p.a.device.networks_text(p.a.peer), p.a.peer.public_keys
    p.a.device.set_closed(p.a.peer, True)
    assert (p.a.device.networks_text(p.a.peer), p.a.peer.public_keys) == before
