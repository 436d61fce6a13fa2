"""Handshakes between two devices: what is answered, what is not, and what a message may not change."""

from __future__ import annotations

import pytest

from tests.unit.protocol.pairs import (
    A4,
    B4,
    ENDPOINT_A,
    ENDPOINT_B,
    KEY_C,
    PSK_1,
    PSK_2,
    Node,
    Pair,
    packet,
    pair,
)
from wgnode.protocol import Endpoint
from wgnode.protocol.cookie import CookieGenerator
from wgnode.protocol.errors import Drop
from wgnode.protocol.messages import INITIATION, RESPONSE, TRANSPORT

ELSEWHERE = Endpoint("203.0.113.9", 9)
LOW_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


def initiation(p: Pair) -> bytes:
    """One from a, not delivered."""
    p.a.send(packet(A4, B4))
    (message,) = p.a.take()
    assert message[0] == INITIATION
    return message


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_a_packet_starts_a_handshake_and_arrives() -> None:
    p = pair()
    p.a_to_b(b"first")
    assert p.b.delivered == [packet(A4, B4, b"first")]
    assert [data[0] for _, _, data in p.log] == [INITIATION, RESPONSE, TRANSPORT]
    p.b_to_a(b"back")
    assert p.a.delivered == [packet(B4, A4, b"back")]
    assert len(p.log) == 4
    assert p.a.peer.last_handshake == p.b.peer.last_handshake == p.now


def test_an_initiator_with_nothing_to_send_confirms_by_a_keepalive() -> None:
    p = pair()
    p.a.device.set_keepalive(p.a.peer, 25, p.now)
    p.advance(0)
    assert [(data[0], len(data)) for _, _, data in p.log] == [(1, 148), (2, 92), (4, 32)]
    assert p.b.peer.last_handshake == p.now


def test_a_responder_does_not_send_before_the_first_packet_of_the_session() -> None:
    p = pair()
    p.b.receive(initiation(p), ENDPOINT_A)
    (response,) = p.b.take()
    p.b.send(packet(B4, A4))
    assert p.b.take() == []
    assert p.b.peer.last_handshake is None
    p.a.receive(response, ENDPOINT_B)
    p.deliver()
    assert p.a.delivered == [packet(B4, A4)]


def test_the_responder_learns_the_endpoint() -> None:
    p = pair(know_a=False)
    p.b.send(packet(B4, A4))
    assert p.b.device.counters == {Drop.NO_ENDPOINT: 1}
    p.connect()
    assert p.b.peer.endpoint == ENDPOINT_A
    p.b_to_a()
    assert p.a.delivered == [packet(B4, A4)]


def test_receiver_indices_are_random() -> None:
    p = pair()
    first = initiation(p)
    p.advance(5.4)
    (second,) = p.sent(p.a, INITIATION)
    assert len({first[4:8], second[4:8], bytes(4)}) == 3


def test_without_our_public_key_no_answer() -> None:
    p = pair()
    message = initiation(p)
    stranger = Node(p.clock, ENDPOINT_B, (KEY_C,), 3)
    stranger.device.start(p.now)
    stranger.receive(message, ENDPOINT_A)
    assert stranger.take() == []
    assert stranger.device.counters == {Drop.BAD_MAC1: 1}


def test_an_unknown_static_key_gets_no_answer() -> None:
    p = pair()
    message = initiation(p)
    p.b.device.remove_peer(p.b.peer.public_key)
    p.b.receive(message, ENDPOINT_A)
    assert p.b.take() == []
    assert p.b.device.counters == {Drop.UNKNOWN_PEER: 1}


@pytest.mark.parametrize("at", [1, 4, 8, 39, 40, 87, 88, 115, 116, 131])
def test_a_flipped_bit_in_an_initiation_gets_silence_and_changes_nothing(at: int) -> None:
    p = pair()
    message = initiation(p)
    p.b.receive(flip(message, at), ELSEWHERE)
    assert p.b.take() == []
    assert p.b.device.counters.total() == 1
    assert p.b.peer.endpoint == ENDPOINT_A
    assert p.b.peer.rx_bytes == 0
    p.b.receive(message, ENDPOINT_A)
    assert [data[0] for data in p.b.take()] == [RESPONSE]


@pytest.mark.parametrize("at", [4, 8, 12, 43, 44, 59, 60])
def test_a_flipped_bit_in_a_response_changes_nothing(at: int) -> None:
    p = pair()
    p.b.receive(initiation(p), ENDPOINT_A)
    (response,) = p.b.take()
    p.a.receive(flip(response, at), ELSEWHERE)
    assert p.a.take() == []
    assert p.a.peer.last_handshake is None
    assert p.a.peer.endpoint == ENDPOINT_B
    p.a.receive(response, ENDPOINT_B)
    assert [data[0] for data in p.a.take()] == [TRANSPORT]


@pytest.mark.parametrize("at", [12, 43, 44, 59])
def test_a_forged_response_with_a_right_mac1_changes_nothing(at: int) -> None:
    p = pair()
    p.b.receive(initiation(p), ENDPOINT_A)
    (response,) = p.b.take()
    forged = CookieGenerator(p.a.device.public_keys[0]).add_macs(flip(response, at)[:60], p.now)
    p.a.receive(forged, ELSEWHERE)
    assert p.a.take() == []
    assert p.a.device.counters == {Drop.BAD_HANDSHAKE: 1}
    assert p.a.peer.endpoint == ENDPOINT_B
    p.a.receive(response, ENDPOINT_B)
    assert [data[0] for data in p.a.take()] == [TRANSPORT]


def test_an_index_in_use_is_not_drawn_again() -> None:
    p = pair()
    first = int.from_bytes(initiation(p)[4:8], "little")
    tables = p.a.device._tables
    drawn = [first.to_bytes(4, "little"), b"free"]
    tables.random = lambda length: drawn.pop(0)
    assert tables.new_index() == int.from_bytes(b"free", "little")


def test_a_response_is_taken_once() -> None:
    p = pair()
    p.b.receive(initiation(p), ENDPOINT_A)
    (response,) = p.b.take()
    for _ in range(2):
        p.a.receive(response, ENDPOINT_B)
    assert len(p.a.take()) == 1
    assert p.a.device.counters == {Drop.UNKNOWN_INDEX: 1}


def test_a_timestamp_must_be_greater_than_the_last() -> None:
    p = pair()
    first = initiation(p)
    p.b.receive(first, ENDPOINT_A)
    assert len(p.b.take()) == 1
    p.jump(1)
    p.b.receive(first, ELSEWHERE)
    assert p.b.take() == []
    assert p.b.device.counters == {Drop.REPLAYED_INITIATION: 1}
    assert p.b.peer.endpoint == ENDPOINT_A

    p.clock.wall_offset = -100
    p.advance(5)
    assert len(p.sent(p.a, INITIATION)) == 1
    assert p.b.device.counters[Drop.REPLAYED_INITIATION] == 2
    p.clock.wall_offset = 0
    p.advance(6)
    assert p.b.delivered == [packet(A4, B4)]


def restarted(p: Pair) -> bytes:
    """An initiation by an a that came back without its memory."""
    again = Node(p.clock, ENDPOINT_A, p.a.device.private_keys, 9)
    peer = again.device.add_peer(p.b.device.public_keys)
    again.device.set_endpoint(peer, ENDPOINT_B)
    again.device.add_allowed_ip(peer, "0.0.0.0/0")
    again.device.start(p.now)
    again.send(packet(A4, B4))
    return again.take()[0]


def test_initiations_of_one_peer_are_20_ms_apart() -> None:
    for wait, answered in ((0.019, 0), (0.021, 1)):
        p = pair()
        p.b.receive(initiation(p), ENDPOINT_A)
        assert len(p.b.take()) == 1
        p.jump(wait)
        p.b.receive(restarted(p), ENDPOINT_A)
        assert len(p.b.take()) == answered
        assert p.b.device.counters[Drop.INITIATION_FLOOD] == 1 - answered


@pytest.mark.parametrize("key", LOW_ORDER, ids=lambda key: key.hex()[:4])
def test_low_order_public_keys_stay_silent(key: bytes) -> None:
    p = pair()
    p.a.device.remove_peer(p.a.peer.public_key)
    peer = p.a.device.add_peer([key])
    p.a.device.set_endpoint(peer, ENDPOINT_B)
    p.a.device.add_allowed_ip(peer, "10.0.0.0/8")
    p.a.send(packet(A4, B4))
    assert p.a.take() == []
    assert p.a.device.counters == {Drop.LOW_ORDER_POINT: 1}


def test_a_pre_shared_key_must_be_the_same() -> None:
    p = pair()
    p.a.device.set_preshared_keys(p.a.peer, [PSK_1])
    p.a_to_b()
    assert p.b.delivered == []
    assert p.a.device.counters == {Drop.BAD_HANDSHAKE: 1}
    p.b.device.set_preshared_keys(p.b.peer, [PSK_1])
    p.advance(5.4)
    assert p.b.delivered == [packet(A4, B4)]


def test_a_pre_shared_key_change_applies_at_the_next_handshake() -> None:
    p = pair().connect()
    p.a.device.set_preshared_keys(p.a.peer, [PSK_2])
    p.b.device.set_preshared_keys(p.b.peer, [PSK_2])
    p.a_to_b(b"same session")
    assert [data[0] for _, _, data in p.log] == [TRANSPORT]
    p.b.device.set_preshared_keys(p.b.peer, [PSK_1])
    p.advance(181)
    p.clear()
    p.a_to_b(b"new session")
    assert p.b.delivered == []
    assert p.a.device.counters[Drop.BAD_HANDSHAKE] == 1


def test_zeros_mean_no_pre_shared_key() -> None:
    p = pair()
    p.a.device.set_preshared_keys(p.a.peer, [bytes(32)])
    assert p.a.peer.preshared_keys == ()
    p.connect()


def test_packets_wait_for_the_handshake_and_the_oldest_go_first() -> None:
    p = pair()
    for n in range(130):
        p.a.send(packet(A4, B4, b"%d" % n))
    p.deliver()
    assert p.b.delivered == [packet(A4, B4, b"%d" % n) for n in range(2, 130)]
    assert p.a.device.counters == {Drop.STAGED: 2}


def test_crossing_initiations_give_sessions_that_both_work() -> None:
    p = pair()
    p.a.send(packet(A4, B4, b"from a"))
    p.b.send(packet(B4, A4, b"from b"))
    p.deliver()
    assert p.b.delivered == [packet(A4, B4, b"from a")]
    assert p.a.delivered == [packet(B4, A4, b"from b")]
    assert [data[0] for _, _, data in p.log].count(INITIATION) == 2
    p.clear()
    for _ in range(3):
        p.a_to_b()
        p.b_to_a()
    assert (len(p.a.delivered), len(p.b.delivered)) == (3, 3)
    assert {data[0] for _, _, data in p.log} == {TRANSPORT}


def test_crossing_initiations_of_which_one_is_lost() -> None:
    p = pair()
    p.a.send(packet(A4, B4, b"from a"))
    p.b.send(packet(B4, A4, b"from b"))
    p.a.take()
    p.deliver()
    assert p.b.delivered == [packet(A4, B4, b"from a")]
    assert p.a.delivered == [packet(B4, A4, b"from b")]


def test_bytes_are_counted_as_whole_udp_payloads() -> None:
    p = pair()
    p.a_to_b(b"x" * 12)
    assert (p.a.peer.tx_bytes, p.a.peer.rx_bytes) == (148 + 64, 92)
    assert (p.b.peer.tx_bytes, p.b.peer.rx_bytes) == (92, 148 + 64)
    p.b_to_a(b"x" * 13)
    assert (p.a.peer.tx_bytes, p.a.peer.rx_bytes) == (148 + 64, 92 + 80)
    p.advance(10)
    assert p.a.peer.tx_bytes == 148 + 64 + 32
    assert p.b.peer.rx_bytes == 148 + 64 + 32


def test_packets_are_counted_without_keepalives_and_sessions_by_their_handshakes() -> None:
    p = pair()
    p.a_to_b(b"first")
    p.a_to_b(b"second")
    p.b_to_a(b"third")
    p.advance(10)  # a keepalive
    assert [(one.peer.tx_packets, one.peer.rx_packets, one.peer.sessions) for one in (p.a, p.b)] == [
        (2, 1, 1),
        (1, 2, 1),
    ]
    p.a.device.renew(p.a.peer, p.now)
    p.deliver()
    assert (p.a.peer.sessions, p.b.peer.sessions) == (2, 2)
    assert p.a.peer.serial != p.a.device.add_peer([bytes(range(32))]).serial
