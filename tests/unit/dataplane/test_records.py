"""What the engine tells is told by name, the same names as the protocol's, and of the peer that it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.dataplane.worlds import inner_packet
from wgnode.protocol.plane import Activity

if TYPE_CHECKING:
    import wgnode_fastpath as fastpath
else:
    fastpath = pytest.importorskip("wgnode_fastpath")

HOME, AWAY = fastpath.Place(bytes([192, 0, 2, 1]), 51820), fastpath.Place(bytes([192, 0, 2, 2]), 51820)


def pair(now: float) -> tuple[fastpath.Engine, int, fastpath.Session]:
    """An engine with one peer, that has 10.0.0.0/8, and the other end of its session."""
    suite, _ = fastpath.choose_crypto("ring")
    engine = fastpath.Engine()
    engine.set_mtus([1420])
    peer = engine.add_peer()
    engine.add_route(bytes([10, 0, 0, 0]), 8, peer)
    one, two = bytes([1]) * 32, bytes([2]) * 32
    engine.add_session(fastpath.Session((1, 2), (one, two), now, suite), peer, True)
    engine.set_current(peer, 1)
    engine.set_endpoint(peer, HOME, (HOME, False))
    return engine, peer, fastpath.Session((2, 1), (two, one), now, suite)


NAMES = [name for name in Activity._fields if name != "longest"]
"""Of sizes the engine does not tell yet: FastPlane.keeps_limits."""


def told(record: Any) -> dict[str, object]:
    return {name: getattr(record, name) for name in NAMES}


def test_what_happened_has_the_names_of_the_protocol() -> None:
    engine, peer, far = pair(100.0)
    packet = inner_packet("a", "b", 0, 1)
    (message,) = engine.send(bytes(10) + packet, 101.0) or ()
    assert (message.peer, far.open(message.data)) == (peer, packet + bytes(-len(packet) % 16))
    (did,) = engine.activity()
    idle: dict[str, object] = {**dict.fromkeys(NAMES, None), "tx_packets": 0, "rx_packets": 0}
    sent = {"tx_bytes": len(message.data), "rx_bytes": 0, "sent_at": 101.0, "waiting_since": 101.0, "owing_more": False}
    assert told(did) == {**idle, "peer": peer, **sent, "tx_packets": 1}
    for now in (102.0, 103.0):
        engine.receive(far.seal(packet), AWAY, now)
    (did,) = engine.activity()
    received = {"rx_bytes": 2 * len(far.seal(packet)), "received_at": 103.0, "owing_since": 102.0, "owing_more": True}
    assert told(did) == {**idle, "peer": peer, "tx_bytes": 0, **received, "rx_packets": 2, "endpoint": AWAY}


def test_what_is_handed_over_has_a_place_or_is_a_packet_of_ours() -> None:
    engine, peer, far = pair(100.0)
    engine.set_current(peer, None)
    packet = inner_packet("a", "b", 0, 1)
    assert engine.send(bytes(10) + packet, 101.0) is None
    engine.add_session(far, peer, False)
    (handed,) = engine.handed()
    assert (handed.data, handed.place) == (packet, None)
    assert engine.dropped() == {}
    engine.receive(b"nothing that we know", AWAY, 101.0)
    assert engine.dropped() == {"malformed": 1}


def test_a_peers_number_is_never_anothers() -> None:
    engine, peer, _ = pair(100.0)
    engine.send(bytes(10) + inner_packet("a", "b", 0, 1), 101.0)
    (did,) = engine.activity()
    engine.remove_peer(peer)
    later = [engine.add_peer() for _ in range(3)]
    assert did.peer == peer
    assert did.peer not in later
    assert engine.route_count() == 0
    engine.add_route(bytes([10, 0, 0, 0]), 8, peer)
    assert engine.lookup(bytes([10, 0, 0, 1])) is None
