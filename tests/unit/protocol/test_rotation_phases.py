"""Keys rotate in three phases (accept, use, drop) under a stream both ways, and no packet is lost between them.

The sides change phase independently: every order that keeps each a phase apart at most is tried.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations, product

import pytest

from tests.unit.protocol.pairs import A4, B4, KEY_A, KEY_C, PSK_1, PSK_2, Node, Pair, packet, pair
from tests.unit.protocol.slow_wire import SlowWire
from wgnode.protocol.constants import REKEY_TIMEOUT_JITTER_MAX
from wgnode.protocol.messages import INITIATION

PHASES = ("accept", "use", "drop")
ORDERS = list(product(permutations("ab"), repeat=len(PHASES)))
"""Which side goes first, phase by phase."""
Change = Callable[[Pair], None]


def in_phase(old: bytes, new: bytes, phase: str) -> tuple[bytes, ...]:
    """Current and next key, as both sides list them."""
    return {"accept": (old, new), "use": (new, old), "drop": (new,)}[phase]


def public(key: bytes) -> bytes:
    p = pair(start=False)
    p.a.device.set_private_keys([key], p.now)
    return p.a.device.public_keys[0]


def own_key(phase: str) -> Change:
    return lambda p: p.a.device.set_private_keys(in_phase(KEY_A, KEY_C, phase), p.now)


def key_at_the_peer(phase: str) -> Change:
    return lambda p: p.b.device.set_public_keys(p.b.peer, in_phase(public(KEY_A), public(KEY_C), phase))


def preshared_key(side: str, phase: str) -> Change:
    def change(p: Pair) -> None:
        node = getattr(p, side)
        node.device.set_preshared_keys(node.peer, in_phase(PSK_1, PSK_2, phase))

    return change


class Stream:
    """Numbered packets both ways (or one way), 20 a second, over a wire with up to 50 ms of delay."""

    def __init__(self, p: Pair, seed: int, talkers: str) -> None:
        self.p, self.talkers = p, talkers
        self.wire = SlowWire(p, seed, 0.05)
        self.sent = 0

    def flow(self, seconds: float) -> None:
        for _ in range(int(seconds * 20)):
            for name, source, destination in (("a", A4, B4), ("b", B4, A4)):
                if name in self.talkers:
                    getattr(self.p, name).send(packet(source, destination, b"%d" % self.sent))
            self.sent += 1
            self.wire.advance(0.05)

    def assert_nothing_lost(self) -> None:
        self.wire.advance(1)
        for name, other, source, destination in (("a", self.p.b, A4, B4), ("b", self.p.a, B4, A4)):
            wanted = range(self.sent) if name in self.talkers else ()
            assert sorted(other.delivered) == sorted(packet(source, destination, b"%d" % n) for n in wanted), name
        assert (self.p.a.device.counters, self.p.b.device.counters) == ({}, {})


@pytest.mark.parametrize("talkers", ["a", "b", "ab"])
@pytest.mark.parametrize("orders", ORDERS, ids=lambda orders: "".join(map("".join, orders)))
def test_a_static_key_rotates_without_loss(orders: tuple[tuple[str, str], ...], talkers: str) -> None:
    p = pair().connect()
    stream = Stream(p, len(talkers), talkers)
    for phase, order in zip(PHASES, orders, strict=True):
        stream.flow(6)
        for side in order:
            (own_key if side == "a" else key_at_the_peer)(phase)(p)
            stream.flow(1)
    stream.flow(6)
    stream.assert_nothing_lost()
    assert p.a.device.public_keys == p.b.peer.public_keys == (public(KEY_C),)
    assert {keypair.identity_key for keypair in p.a.peer.slots.all()} == {public(KEY_C)}
    assert {keypair.remote.public_key for keypair in p.b.peer.slots.all()} == {public(KEY_C)}


@pytest.mark.parametrize("first", ["a", "b"])
def test_an_idle_session_is_renewed_in_the_phase_use(first: str) -> None:
    p = pair().connect()
    own_key("accept")(p)
    key_at_the_peer("accept")(p)
    p.advance(30)
    p.clear()
    start = p.now
    (own_key if first == "a" else key_at_the_peer)("use")(p)
    p.advance(REKEY_TIMEOUT_JITTER_MAX)
    (initiated,) = p.times(getattr(p, first), INITIATION)
    assert start < initiated <= start + REKEY_TIMEOUT_JITTER_MAX
    for node in (p.a, p.b):
        assert node.peer.last_handshake == initiated
    session = p.a.peer.session
    assert session is not None
    assert session.identity_key == public(KEY_C)
    p.advance(60)
    (own_key if first == "b" else key_at_the_peer)("use")(p)
    p.clear()
    p.advance(REKEY_TIMEOUT_JITTER_MAX)
    assert p.log == []


def test_a_phase_that_keeps_the_first_key_renews_nothing() -> None:
    p = pair().connect()
    own_key("accept")(p)
    key_at_the_peer("accept")(p)
    own_key("accept")(p)
    p.advance(1)
    assert p.log == []


def test_dropping_a_key_ends_its_sessions_at_once() -> None:
    p = pair().connect()
    for change in (own_key, key_at_the_peer):
        change("accept")(p)
    own_key("drop")(p)
    assert p.a.peer.slots.all() == []
    key_at_the_peer("drop")(p)
    assert p.b.peer.slots.all() == []


@pytest.mark.parametrize("talkers", ["a", "b", "ab"])
@pytest.mark.parametrize("orders", ORDERS, ids=lambda orders: "".join(map("".join, orders)))
def test_a_pre_shared_key_rotates_without_loss(orders: tuple[tuple[str, str], ...], talkers: str) -> None:
    p = pair(start=False)
    for node in (p.a, p.b):
        node.device.set_preshared_keys(node.peer, [PSK_1])
        node.device.start(p.now)
    stream = Stream(p.connect(), len(talkers), talkers)
    for phase, order in zip(PHASES, orders, strict=True):
        for side in order:
            preshared_key(side, phase)(p)
            for node in (p.a, p.b):
                renew(node, p.now)
                stream.flow(6)
    stream.assert_nothing_lost()


def renew(node: Node, now: float) -> None:
    """Make the node an initiator whose session is due: each phase has to complete handshakes, in both roles."""
    session = node.peer.session
    assert session is not None
    session.is_initiator = True
    session.created = min(session.created, now - 121)
