"""What is checked before what: a message that fails has cost little, roamed nobody and moved no window."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.protocol.pairs import A4, B4, ENDPOINT_A, ENDPOINT_B, KEY_B, KEY_C, KEY_D, Pair, packet, pair
from wgnode.dataplane.plain import PlainPlane
from wgnode.protocol import Device, Endpoint, noise, statics
from wgnode.protocol.constants import REJECT_AFTER_TIME
from wgnode.protocol.cookie import CookieGenerator
from wgnode.protocol.errors import Drop
from wgnode.protocol.messages import COOKIE_REPLY, RESPONSE, CookieReply
from wgnode.protocol.replay import WINDOW

ELSEWHERE = Endpoint("203.0.113.9", 9)


@pytest.fixture
def dhs(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Says how many DHs were computed since it was last asked."""
    computed, real = [0], noise.dh

    def counted(*args: object) -> bytes:
        computed[0] += 1
        return real(*args)  # type: ignore[arg-type]

    def since() -> int:
        number, computed[0] = computed[0], 0
        return number

    monkeypatch.setattr(noise, "dh", counted)
    monkeypatch.setattr(statics, "dh", counted)
    return since


def initiation(p: Pair) -> bytes:
    p.a.send(packet(A4, B4))
    return p.a.take()[0]


def response(p: Pair) -> bytes:
    p.b.receive(initiation(p), ENDPOINT_A)
    return p.b.take()[0]


# Work


def test_length_type_and_mac1_come_before_any_dh(dhs: Callable[[], int]) -> None:
    p = pair()
    message = initiation(p)
    dhs()
    for wrong in (message[:-1], message + b"\0", b"\1\1\0\0" + message[4:], message[:116] + bytes(32)):
        p.b.receive(wrong, ENDPOINT_A)
    assert dhs() == 0
    assert p.b.device.counters == {Drop.MALFORMED: 3, Drop.BAD_MAC1: 1}
    p.b.receive(message, ENDPOINT_A)
    assert dhs() == 4
    assert [data[0] for data in p.b.take()] == [RESPONSE]


def test_under_load_mac2_and_the_rate_come_before_any_dh(dhs: Callable[[], int]) -> None:
    p = pair(under_load=lambda now: True)
    message = initiation(p)
    cookie = CookieGenerator(p.b.device.public_keys[0])
    cookie.add_macs(message[:116], p.now)
    dhs()
    p.b.receive(message, ENDPOINT_A)
    assert dhs() == 0
    (reply,) = p.b.take()
    cookie.consume(CookieReply.parse(reply), p.now)
    proven = cookie.add_macs(message[:116], p.now)
    for _ in range(5):
        p.b.receive(proven, ENDPOINT_A)
    assert dhs() > 0
    p.b.receive(proven, ENDPOINT_A)
    assert dhs() == 0
    assert p.b.device.counters[Drop.RATE_LIMITED] == 1


def test_a_response_to_nothing_costs_no_dh(dhs: Callable[[], int]) -> None:
    p = pair()
    answer = response(p)
    mine = CookieGenerator(p.a.device.public_keys[0])
    dhs()
    p.a.receive(mine.add_macs(answer[:8] + b"none" + answer[12:60], p.now), ENDPOINT_B)
    assert dhs() == 0
    assert p.a.device.counters == {Drop.UNKNOWN_INDEX: 1}
    p.a.receive(answer, ENDPOINT_B)
    assert dhs() == 2


def test_an_unknown_static_key_costs_one_dh(dhs: Callable[[], int]) -> None:
    p = pair()
    message = initiation(p)
    p.b.device.remove_peer(p.b.peer.public_key)
    dhs()
    p.b.receive(message, ENDPOINT_A)
    assert dhs() == 1


def test_mac1_tells_which_identity_is_meant(dhs: Callable[[], int]) -> None:
    """So each message costs one set of DHs, not one for each identity."""
    for meant in (KEY_B, KEY_D):
        p = pair()
        p.b.device.set_private_keys([KEY_B, KEY_D], p.now)
        theirs = p.b.device.public_keys[[KEY_B, KEY_D].index(meant)]
        p.a.device.set_public_keys(p.a.peer, [theirs])
        message = initiation(p)
        dhs()
        p.b.receive(message, ENDPOINT_A)
        assert dhs() == 4
        session = p.b.peer.slots.next
        assert session is not None
        assert session.identity_key == theirs


def test_under_load_each_identity_answers_with_its_own_cookie() -> None:
    p = pair(under_load=lambda now: True)
    p.b.device.set_private_keys([KEY_B, KEY_D], p.now)
    p.a.device.set_public_keys(p.a.peer, [p.b.device.public_keys[1]])
    p.b.receive(initiation(p), ENDPOINT_A)
    (reply,) = p.b.take()
    assert reply[0] == COOKIE_REPLY
    p.a.receive(reply, ENDPOINT_B)
    assert p.a.device.counters == {}


# Roaming


def keepalive(p: Pair) -> bytes:
    return sealed(p, b"")


def sealed(p: Pair, inner: bytes) -> bytes:
    session = p.a.peer.session
    assert session is not None
    return session.keys.seal(inner)


def fresh_initiation(p: Pair) -> bytes:
    p.jump(1)
    p.a.device.stop(p.now)
    p.a.device.start(p.now)
    return initiation(p)


@pytest.mark.parametrize(
    "make",
    [
        keepalive,
        lambda p: sealed(p, packet(A4, B4)),
        lambda p: sealed(p, b"\x45 no packet"),
        lambda p: sealed(p, packet("10.9.9.9", B4)),
        fresh_initiation,
    ],
    ids=["keepalive", "data", "bad inner packet", "source not allowed", "initiation"],
)
def test_every_authenticated_message_roams(make: Callable[[Pair], bytes]) -> None:
    p = pair().connect()
    p.b.receive(make(p), ELSEWHERE)
    assert p.b.peer.endpoint == ELSEWHERE


def test_a_response_roams() -> None:
    p = pair()
    p.a.receive(response(p), ELSEWHERE)
    assert p.a.peer.endpoint == ELSEWHERE


def cookie_reply(p: Pair) -> bytes:
    p.b.device._defence._under_load = lambda now: True
    p.b.receive(initiation(p), ENDPOINT_A)
    return p.b.take()[0]


def test_a_cookie_reply_roams_nobody() -> None:
    p = pair()
    p.a.receive(cookie_reply(p), ELSEWHERE)
    assert p.a.device.counters == {}
    assert p.a.peer.endpoint == ENDPOINT_B


def replayed(p: Pair) -> bytes:
    message = sealed(p, packet(A4, B4))
    p.b.receive(message, ENDPOINT_A)
    return message


def expired(p: Pair) -> bytes:
    message = sealed(p, packet(A4, B4))
    p.jump(REJECT_AFTER_TIME)
    return message


def old_initiation(p: Pair) -> bytes:
    message = fresh_initiation(p)
    p.b.receive(message, ENDPOINT_A)
    p.b.take()
    p.jump(1)
    return message


def a_strangers(p: Pair) -> bytes:
    message = fresh_initiation(p)
    p.b.device.set_public_keys(p.b.peer, [public(KEY_C)])
    return message


def public(key: bytes) -> bytes:
    return Device([key], plane=PlainPlane(), random=bytes, tai64n=lambda: bytes(12)).public_keys[0]


@pytest.mark.parametrize(
    ("make", "drop"),
    [
        (replayed, Drop.REPLAYED),
        (expired, Drop.EXPIRED),
        (old_initiation, Drop.REPLAYED_INITIATION),
        (a_strangers, Drop.UNKNOWN_PEER),
        (lambda p: sealed(p, packet(A4, B4))[:-1] + b"!", Drop.BAD_TRANSPORT),
        (lambda p: fresh_initiation(p)[:-32] + bytes(32), Drop.BAD_MAC1),
    ],
    ids=["replayed", "expired", "replayed initiation", "a stranger's", "forged", "forged initiation"],
)
def test_what_is_refused_roams_nobody(make: Callable[[Pair], bytes], drop: Drop) -> None:
    p = pair().connect()
    message = make(p)
    received = p.b.peer.rx_bytes
    p.b.receive(message, ELSEWHERE)
    assert p.b.device.counters == {drop: 1}
    assert (p.b.peer.endpoint, p.b.peer.rx_bytes) == (ENDPOINT_A, received)
    assert p.b.take() == []


def test_an_expired_or_forged_message_is_refused_before_the_window_moves() -> None:
    p = pair().connect()
    message = sealed(p, packet(A4, B4))
    p.b.receive(message[:8] + (2 * WINDOW).to_bytes(8, "little") + message[16:], ENDPOINT_A)
    p.b.receive(message[:8] + b"\xff" * 8 + message[16:], ENDPOINT_A)
    assert p.b.device.counters == {Drop.BAD_TRANSPORT: 1, Drop.EXPIRED: 1}
    p.b.receive(message, ENDPOINT_A)
    assert p.b.delivered == [packet(A4, B4)]


# Configuration while messages are on their way


def test_a_message_to_a_peer_that_was_removed_is_unknown() -> None:
    p = pair().connect()
    message = sealed(p, packet(A4, B4))
    p.b.device.remove_peer(p.b.peer.public_key)
    p.b.receive(message, ENDPOINT_A)
    assert p.b.device.counters == {Drop.UNKNOWN_INDEX: 1}


def test_allowed_ips_that_moved_count_for_what_is_on_its_way() -> None:
    p = pair().connect()
    message = sealed(p, packet(A4, B4))
    other = p.b.device.add_peer([public(KEY_C)])
    p.b.device.add_allowed_ip(other, f"{A4}/32")
    p.b.receive(message, ENDPOINT_A)
    assert p.b.device.counters == {Drop.SOURCE_NOT_ALLOWED: 1}


def test_initiations_are_not_limited_over_all_peers() -> None:
    """INITIATIONS_PER_SECOND counts for each static key."""
    p = pair()
    p.b.receive(initiation(p), ENDPOINT_A)
    second = pair()
    second.a.device.set_private_keys([KEY_C], second.now)
    added = p.b.device.add_peer([public(KEY_C)])
    p.b.device.add_allowed_ip(added, "10.0.9.9/32")
    p.b.receive(initiation(second), ELSEWHERE)
    assert [data[0] for data in p.b.take()] == [RESPONSE, RESPONSE]
