"""Transport messages: padding, replay, inner checks, roaming, limits."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.protocol.pairs import A4, A6, B4, B6, ENDPOINT_A, ENDPOINT_B, Pair, packet, pair
from wgnode.protocol import Endpoint
from wgnode.protocol.constants import REJECT_AFTER_MESSAGES, REKEY_AFTER_MESSAGES
from wgnode.protocol.errors import Drop
from wgnode.protocol.messages import INITIATION, TRANSPORT, TRANSPORT_HEADER
from wgnode.protocol.padding import pad

ELSEWHERE = Endpoint("203.0.113.9", 9)


@given(size=st.integers(1, 3000), mtu=st.integers(1, 2000))
def test_padding_goes_to_16_but_never_above_the_mtu(size: int, mtu: int) -> None:
    padded = pad(b"x" * size, mtu)
    assert padded.rstrip(b"\0") == b"x" * size
    full = -(-size // 16) * 16
    assert len(padded) == (full if full <= mtu else max(size, mtu))


def test_no_message_tells_the_inner_length_within_16_bytes() -> None:
    p = pair().connect()
    for size in range(1, 17):
        p.a_to_b(b"x" * (12 + size))
    assert {len(data) for data in p.sent(p.a)} == {16 + 48 + 16}
    assert p.b.delivered == [packet(A4, B4, b"x" * (12 + size)) for size in range(1, 17)]


def test_a_full_packet_is_not_padded_above_the_mtu() -> None:
    p = pair(mtu=1415).connect()
    p.a_to_b(b"x" * (1415 - 20))
    p.a_to_b(b"x" * (1413 - 20))
    assert [len(data) for data in p.sent(p.a)] == [1415 + 32, 1415 + 32]


@given(
    size=st.integers(1, 1600),
    mtu=st.integers(1280, 1500),
    routes=st.sets(st.integers(1, 1500), max_size=5),
    data=st.data(),
)
def test_padding_goes_beyond_no_route_that_the_packet_may_have_come_by(
    size: int, mtu: int, routes: set[int], data: st.DataObject
) -> None:
    padded = len(pad(b"x" * size, mtu, tuple(sorted(routes))))
    fitting = [each for each in routes if each >= size]
    assert padded == len(pad(b"x" * size, min([mtu, *fitting])))
    if fitting:
        assert padded <= data.draw(st.sampled_from(fitting))


def test_a_routes_mtu_bounds_padding_of_what_is_sent_at_once_and_of_what_waited() -> None:
    p = pair(mtu=1300)
    p.a.device.route_mtus = (1299,)
    for size in (1297, 1295, 1300):
        p.a_to_b(b"x" * (size - 20))
    p.a.device.route_mtus = ()
    p.a_to_b(b"x" * (1297 - 20))
    q = pair(mtu=1300)
    q.a.device.route_mtus = (1299,)
    q.a_to_b(b"x" * (1297 - 20))
    sizes = [[len(data) - 32 for data in each.sent(each.a, TRANSPORT)] for each in (p, q)]
    assert sizes == [[1299, 1296, 1300, 1300], [1299]]
    assert [len(inner) for inner in p.b.delivered] == [1297, 1295, 1300, 1297]


def test_packets_of_peers_that_do_not_pad_are_accepted() -> None:
    p = pair().connect()
    keypair = p.a.peer.session
    assert keypair is not None
    p.b.receive(keypair.keys.seal(packet(A4, B4, b"odd")), ENDPOINT_A)
    assert p.b.delivered == [packet(A4, B4, b"odd")]


def test_both_families_inside() -> None:
    p = pair().connect()
    p.a.send(packet(A6, B6, b"six"))
    p.a.send(packet(A4, B4, b"four"))
    p.deliver()
    assert p.b.delivered == [packet(A6, B6, b"six"), packet(A4, B4, b"four")]


def test_a_message_is_accepted_once_and_in_any_order() -> None:
    p = pair().connect()
    for n in range(5):
        p.a.send(packet(A4, B4, b"%d" % n))
    messages = p.a.take()
    for message in reversed(messages):
        p.b.receive(message, ENDPOINT_A)
        p.b.receive(message, ELSEWHERE)
    assert p.b.delivered == [packet(A4, B4, b"%d" % n) for n in reversed(range(5))]
    assert p.b.device.counters == {Drop.REPLAYED: 5}
    assert p.b.peer.endpoint == ENDPOINT_A


def test_a_forged_counter_does_not_move_the_window() -> None:
    p = pair().connect()
    p.a.send(packet(A4, B4))
    (message,) = p.a.take()
    p.b.receive(message[:8] + struct.pack("<Q", 10**6) + message[16:], ELSEWHERE)
    assert p.b.device.counters == {Drop.BAD_TRANSPORT: 1}
    assert p.b.peer.endpoint == ENDPOINT_A
    p.b.receive(message, ENDPOINT_A)
    assert p.b.delivered == [packet(A4, B4)]


@pytest.mark.parametrize("change", ["flip", "truncate", "extend", "index"])
def test_a_changed_message_is_dropped_and_nobody_roams(change: str) -> None:
    p = pair().connect()
    p.a.send(packet(A4, B4))
    (message,) = p.a.take()
    changed = {
        "flip": message[:-1] + bytes([message[-1] ^ 1]),
        "truncate": message[:-16],
        "extend": message + bytes(16),
        "index": message[:4] + bytes([message[4] ^ 1]) + message[5:],
    }[change]
    received = p.b.peer.rx_bytes
    p.b.receive(changed, ELSEWHERE)
    assert p.b.delivered == []
    assert p.b.device.counters.total() == 1
    assert (p.b.peer.endpoint, p.b.peer.rx_bytes) == (ENDPOINT_A, received)


def test_any_authenticated_packet_roams() -> None:
    p = pair().connect()
    p.a.send(packet(A4, B4))
    (message,) = p.a.take()
    p.b.receive(message, ELSEWHERE)
    assert p.b.peer.endpoint == ELSEWHERE
    p.b.send(packet(B4, A4))
    ((_, to),) = p.b.device.datagrams_to_send()
    assert to == ELSEWHERE


def test_roaming_between_families_and_back() -> None:
    p = pair().connect()
    for place in (Endpoint("2001:db8::7", 7), ENDPOINT_A):
        p.a.send(packet(A4, B4))
        (message,) = p.a.take()
        p.b.receive(message, place)
        p.b.send(packet(B4, A4))
        assert [to for _, to in p.b.device.datagrams_to_send()] == [place]


def sealed_by_a(p: Pair, inner: bytes) -> None:
    keypair = p.a.peer.session
    assert keypair is not None
    p.b.receive(keypair.keys.seal(inner), ENDPOINT_A)


@pytest.mark.parametrize(
    "inner",
    [
        b"\x45" + bytes(15),
        b"\x45" + bytes(19),
        packet(A4, B4)[:2] + b"\x00\x13" + packet(A4, B4)[4:],
        packet(A4, B4)[:2] + b"\x00\x1a" + packet(A4, B4)[4:],
        b"\x60" + bytes(38),
        packet(A6, B6)[:4] + b"\x00\x06" + packet(A6, B6)[6:],
        packet(A6, B6)[:4] + b"\xff\xff" + packet(A6, B6)[6:],
        packet(A6, B6)[:4] + b"\xff\xd8" + packet(A6, B6)[6:],
        b"\x55" + packet(A4, B4)[1:],
        bytes(64),
        b"\x00",
    ],
    ids=[
        "v4 cut",
        "v4 length 0",
        "v4 length 19",
        "v4 too long",
        "v6 cut",
        "v6 too long",
        "v6 wraps to 39",
        "v6 wraps to 0",
        "version 5",
        "zeros",
        "one byte",
    ],
)
def test_a_bad_inner_packet_is_dropped_but_counts_as_traffic(inner: bytes) -> None:
    p = pair().connect()
    received = p.b.peer.rx_bytes
    sealed_by_a(p, inner)
    assert p.b.delivered == []
    assert p.b.device.counters == {Drop.BAD_INNER: 1}
    assert p.b.peer.rx_bytes == received + 32 + len(inner)
    p.clear()
    p.advance(10)
    assert [len(data) for data in p.sent(p.b)] == [32]


def test_the_inner_source_must_be_the_peers() -> None:
    p = pair().connect()
    for source, destination in (("10.0.0.9", B4), ("fd00::9", B6), (B4, A4)):
        sealed_by_a(p, packet(source, destination))
    assert p.b.delivered == []
    assert p.b.device.counters == {Drop.SOURCE_NOT_ALLOWED: 3}


def test_padding_is_trimmed_to_the_inner_length() -> None:
    p = pair().connect()
    for inner in (packet(A4, B4, b"four"), packet(A6, B6, b"six"), packet(A6, B6, b"")):
        sealed_by_a(p, inner + bytes(7))
    assert p.b.delivered == [packet(A4, B4, b"four"), packet(A6, B6, b"six"), packet(A6, B6, b"")]


@pytest.mark.parametrize(
    ("inner", "drop"),
    [
        (b"", Drop.BAD_OUTGOING),
        (b"\x45" + bytes(18), Drop.BAD_OUTGOING),
        (b"\x60" + bytes(38), Drop.BAD_OUTGOING),
        (b"\x50" + bytes(60), Drop.BAD_OUTGOING),
        (packet(A4, "10.9.9.9"), Drop.NO_PEER),
        (packet(A6, "fd00::9"), Drop.NO_PEER),
    ],
)
def test_what_cannot_be_routed_is_dropped_and_counted(inner: bytes, drop: Drop) -> None:
    p = pair().connect()
    p.a.send(inner)
    assert p.a.take() == []
    assert p.a.device.counters == {drop: 1}


def test_a_session_neither_sends_nor_receives_at_the_last_counter() -> None:
    p = pair().connect()
    keypair = p.a.peer.session
    assert keypair is not None
    keypair.keys.send_counter = REJECT_AFTER_MESSAGES - 1
    p.a_to_b(b"last")
    assert p.b.delivered == [packet(A4, B4, b"last")]
    assert keypair.keys.send_counter == REJECT_AFTER_MESSAGES
    beyond = TRANSPORT_HEADER.pack(TRANSPORT, p.b.peer.slots.all()[0].local_index, REJECT_AFTER_MESSAGES) + bytes(32)
    p.b.receive(beyond, ENDPOINT_A)
    assert p.b.device.counters == {Drop.EXPIRED: 1}
    p.jump(5)
    p.clear()
    p.a.send(packet(A4, B4))
    assert [data[0] for data in p.a.take()] == [INITIATION]


def test_a_session_is_renewed_after_many_messages_by_either_role() -> None:
    for sender in ("a", "b"):
        p = pair().connect()
        node = getattr(p, sender)
        node.peer.session.keys.send_counter = REKEY_AFTER_MESSAGES - 1
        p.jump(5)
        send = p.a_to_b if sender == "a" else p.b_to_a
        send()
        assert p.sent(node, INITIATION) == []
        send()
        assert len(p.sent(node, INITIATION)) == 1
        assert len(p.sent(node, TRANSPORT)) >= 2


def test_a_stopped_device_neither_sends_nor_answers() -> None:
    p = pair().connect()
    p.b.device.stop(p.now)
    p.a_to_b()
    p.b.send(packet(B4, A4))
    assert p.b.delivered == []
    assert p.sent(p.b) == []
    assert p.b.device.counters == {Drop.DOWN: 2}
    assert p.b.device.next_deadline() is None
    p.b.device.start(p.now)
    p.b_to_a()
    assert p.a.delivered == [packet(B4, A4)]
    assert p.a.peer.endpoint == ENDPOINT_B


def test_a_device_without_a_private_key_sends_nothing() -> None:
    p = pair()
    p.a.device.set_private_keys([], p.now)
    p.a.send(packet(A4, B4))
    assert p.a.take() == []
    assert p.a.device.counters == {Drop.DOWN: 1}
