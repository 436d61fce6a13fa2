"""Under load only who proves its address may cost us a handshake (whitepaper 5.3, 5.4.7)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from tests.unit.protocol.pairs import A4, B4, ENDPOINT_A, ENDPOINT_B, Node, Pair, packet, pair
from wgnode.protocol import Endpoint
from wgnode.protocol.constants import COOKIE_SECRET_LATENCY, COOKIE_SECRET_MAX_AGE, HANDSHAKE_QUEUE, UNDER_LOAD_HOLD
from wgnode.protocol.cookie import CookieChecker, CookieGenerator
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.messages import COOKIE_REPLY, INITIATION, RESPONSE, CookieReply
from wgnode.protocol.ratelimit import HANDSHAKES_PER_SECOND, MAX_SOURCES, LoadMeter, RateLimiter, address_bytes

ELSEWHERE = Endpoint("203.0.113.9", 9)
EPSILON = 0.001


def loaded(*names: str) -> Pair:
    """A pair of which the named nodes are under load, from their first message on."""
    p = pair()
    for name in names:
        getattr(p, name).device._defence._under_load = lambda now: True
    return p


def initiation(node: Node) -> bytes:
    node.send(packet(A4, B4))
    return node.take()[0]


def test_a_cookie_then_a_handshake_at_the_next_retry() -> None:
    p = loaded("b")
    p.a_to_b()
    assert [data[0] for _, _, data in p.log] == [INITIATION, COOKIE_REPLY]
    p.advance(5.4)
    assert p.b.delivered == [packet(A4, B4)]
    assert p.b.device.counters == {Drop.COOKIE_SENT: 1}


def test_a_responder_needs_a_cookie_too_when_the_initiator_is_under_load() -> None:
    p = loaded("a")
    p.a_to_b()
    assert [data[0] for _, _, data in p.log] == [INITIATION, RESPONSE, COOKIE_REPLY]
    p.advance(5.4)
    assert p.b.delivered == [packet(A4, B4)]


def test_both_under_load() -> None:
    p = loaded("a", "b")
    p.a_to_b()
    p.advance(11)
    assert p.b.delivered == [packet(A4, B4)]


def test_without_mac1_there_is_no_cookie_reply_and_no_load() -> None:
    asked: list[float] = []
    p = pair(under_load=lambda now: bool(asked.append(now)) or True)
    message = initiation(p.a)
    p.b.receive(message[:116] + bytes(32), ENDPOINT_A)
    assert p.b.take() == []
    assert asked == []
    assert p.b.device.counters == {Drop.BAD_MAC1: 1}


def test_a_cookie_reply_is_smaller_than_what_it_answers_and_changes_nothing() -> None:
    p = loaded("b")
    message = initiation(p.a)
    p.b.receive(message, ELSEWHERE)
    ((reply, to),) = p.b.device.datagrams_to_send()
    assert (len(reply), to) == (64, ELSEWHERE)
    assert p.b.peer.endpoint == ENDPOINT_A
    assert (p.b.peer.rx_bytes, p.b.peer.tx_bytes) == (0, 0)
    p.a.receive(reply, ELSEWHERE)
    assert p.a.peer.endpoint == ENDPOINT_B
    assert p.a.peer.rx_bytes == 0
    assert p.a.take() == []


def test_a_cookie_is_for_one_address_and_port() -> None:
    for source in (ELSEWHERE, Endpoint(ENDPOINT_A.address, ENDPOINT_A.port + 1)):
        p = loaded("b")
        p.b.receive(initiation(p.a), ENDPOINT_A)
        p.a.receive(p.b.take()[0], ENDPOINT_B)
        p.clock.now += 5.4
        p.a.device.handle_timer(p.now)
        (with_mac2,) = p.a.take()
        p.b.receive(with_mac2, source)
        assert [data[0] for data in p.b.take()] == [COOKIE_REPLY]
        p.b.receive(with_mac2, ENDPOINT_A)
        assert [data[0] for data in p.b.take()] == [RESPONSE]


def test_a_source_under_load_is_limited_after_a_valid_mac2() -> None:
    p = loaded("b")
    p.a_to_b()
    p.clock.now += 5.4
    p.a.device.handle_timer(p.now)
    (with_mac2,) = p.a.take()
    for _ in range(7):
        p.b.receive(with_mac2, ENDPOINT_A)
    assert p.b.device.counters == {Drop.COOKIE_SENT: 1, Drop.REPLAYED_INITIATION: 4, Drop.RATE_LIMITED: 2}


@pytest.mark.parametrize(
    ("age", "used"),
    [
        (COOKIE_SECRET_MAX_AGE - COOKIE_SECRET_LATENCY - EPSILON, True),
        (COOKIE_SECRET_MAX_AGE - COOKIE_SECRET_LATENCY, False),
    ],
)
def test_a_sender_uses_a_cookie_a_little_less_long_than_it_is_valid(age: float, used: bool) -> None:
    checker, generator = CookieChecker(b"p" * 32, bytes), CookieGenerator(b"p" * 32)
    message = generator.add_macs(bytes(116), 0.0)
    generator.consume(CookieReply.parse(checker.reply(message, b"source", 0.0)), 0.0)
    assert (generator.add_macs(bytes(116), age)[-16:] != bytes(16)) is used


def test_a_message_takes_one_cookie_and_only_its_own() -> None:
    checker, generator = CookieChecker(b"p" * 32, bytes), CookieGenerator(b"p" * 32)
    other = CookieReply.parse(checker.reply(bytes(148), b"source", 0.0))
    with pytest.raises(ProtocolError):
        generator.consume(other, 0.0)
    reply = CookieReply.parse(checker.reply(generator.add_macs(bytes(116), 0.0), b"source", 0.0))
    with pytest.raises(ProtocolError):
        generator.consume(other, 0.0)
    generator.consume(reply, 0.0)
    with pytest.raises(ProtocolError):
        generator.consume(reply, 0.0)


def test_a_secret_is_valid_for_its_age_only() -> None:
    secrets = [b"1" * 32, b"2" * 32]
    checker = CookieChecker(b"p" * 32, lambda length: secrets.pop(0) if length == 32 else bytes(length))
    generator = CookieGenerator(b"p" * 32)
    message = generator.add_macs(bytes(116), 0.0)
    generator.consume(CookieReply.parse(checker.reply(message, b"source", 0.0)), 0.0)
    message = generator.add_macs(bytes(116), 1.0)
    assert checker.check_mac2(message, b"source", COOKIE_SECRET_MAX_AGE - EPSILON)
    assert not checker.check_mac2(message, b"source", COOKIE_SECRET_MAX_AGE)
    checker.reply(message, b"source", COOKIE_SECRET_MAX_AGE)
    assert not checker.check_mac2(message, b"source", COOKIE_SECRET_MAX_AGE)
    assert secrets == []


def test_load_is_more_messages_than_an_eighth_of_the_queue_and_holds_a_second() -> None:
    meter = LoadMeter()
    answers = [meter(50.0) for _ in range(HANDSHAKE_QUEUE // 8 + 1)]
    assert answers == [False] * (HANDSHAKE_QUEUE // 8) + [True]
    assert meter(50.0 + UNDER_LOAD_HOLD - EPSILON)
    assert not meter(50.0 + 2 * UNDER_LOAD_HOLD)


def test_what_we_can_compute_is_no_load() -> None:
    meter = LoadMeter()
    assert not any(meter(n / HANDSHAKES_PER_SECOND) for n in range(5000))
    assert any(meter(20 + n / (HANDSHAKES_PER_SECOND * 2)) for n in range(5000))


def test_an_ipv6_64_is_one_source_and_every_ipv4_address_another() -> None:
    limiter = RateLimiter()
    v6 = [address_bytes(f"2001:db8:1:2:{n}::") for n in range(6)]
    assert [limiter.allow(source, 5.0) for source in v6] == [True] * 5 + [False]
    assert limiter.allow(address_bytes("2001:db8:1:3::"), 5.0)
    assert all(limiter.allow(address_bytes(f"192.0.2.{n}"), 5.0) for n in range(20))
    assert address_bytes("::ffff:192.0.2.1") == address_bytes("192.0.2.1")
    assert address_bytes("fe80::1%eth0") == address_bytes("fe80::1")


def test_a_full_rate_limiter_refuses_new_sources_until_old_ones_are_idle() -> None:
    limiter = RateLimiter()
    assert all(limiter.allow(n.to_bytes(4, "big"), 5.0) for n in range(MAX_SOURCES))
    assert not limiter.allow(b"\xff" * 4, 5.5)
    assert limiter.allow(bytes(4), 5.5)
    assert limiter.allow(b"\xff" * 4, 6.6)
    assert len(limiter) <= 2


def test_a_flood_of_initiations_ends_in_cookie_replies_and_sessions_go_on() -> None:
    p = pair().connect()
    message = initiation(Pair().a)
    for n in range(2000):
        p.b.receive(message, Endpoint(f"203.0.{n % 256}.{n // 256}", 1000 + n))
    assert p.b.device.counters[Drop.COOKIE_SENT] > 1000
    p.b.take()
    p.a_to_b(b"through")
    assert p.b.delivered == [packet(A4, B4, b"through")]


def test_no_two_cookie_replies_share_a_nonce() -> None:
    """Replies of one secret's time share a subkey and count; a new secret brings another."""
    checker = CookieChecker(bytes(range(32)), iter_random())
    replies = [checker.reply(bytes(148), b"source", now) for now in (0.0, 1.0, 119.0, 121.0, 122.0)]
    nonces = [CookieReply.parse(reply).nonce for reply in replies]
    assert len(set(nonces)) == 5
    assert [nonce[:16] == nonces[0][:16] for nonce in nonces] == [True, True, True, False, False]


def iter_random() -> Callable[[int], bytes]:
    counter = itertools.count(1)
    return lambda length: bytes([next(counter)]) * length


@pytest.mark.parametrize(
    "address", ["192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::ffff:192.0.2.1", "fe80::1%3"]
)
def test_addresses_are_packed_as_the_standard_library_does(address: str) -> None:
    parsed = ip_address(address.partition("%")[0])
    assert address_bytes(address) == (getattr(parsed, "ipv4_mapped", None) or parsed).packed


@pytest.mark.parametrize("address", ["192.0.2", "192.0.2.256", "name.in.the.net", ""])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (the standard library's own words)
        address_bytes(address)
