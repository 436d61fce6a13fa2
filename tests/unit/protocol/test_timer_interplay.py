"""What one timer does to another, and what a clock that jumps does to all of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.protocol.pairs import A4, B4, ENDPOINT_A, ENDPOINT_B, Clock, Node, Pair, packet, pair
from wgnode.protocol.constants import (
    KEEPALIVE_TIMEOUT,
    MAX_HANDSHAKE_ATTEMPTS,
    NEW_HANDSHAKE_TIMEOUT,
    REJECT_AFTER_TIME,
    REKEY_AFTER_TIME,
    REKEY_TIMEOUT,
    REKEY_TIMEOUT_JITTER_MAX,
    ZERO_KEYS_AFTER,
)
from wgnode.protocol.errors import Drop
from wgnode.protocol.messages import INITIATION, RESPONSE, TRANSPORT
from wgnode.protocol.timers import NEVER

EPSILON = 0.001


def only_from(p: Pair, sender: Node | None) -> None:
    """The wire loses what the other sends; everything when nobody is named."""
    p.wire = lambda node, data: node is sender


def a_response(p: Pair) -> bytes:
    """b's to an initiation of a's, not delivered."""
    p.a.send(packet(A4, B4))
    (initiation,) = p.a.take()
    p.b.receive(initiation, ENDPOINT_A)
    (response,) = p.b.take()
    return response


# The new-handshake timer


def test_more_data_does_not_put_off_the_new_handshake() -> None:
    p = pair().connect()
    p.advance(30)
    p.clear()
    only_from(p, p.a)
    start = p.now
    for _ in range(14):
        p.a_to_b()
        p.advance(1)
    p.advance(1 - EPSILON)
    assert p.sent(p.a, INITIATION) == []
    p.advance(REKEY_TIMEOUT_JITTER_MAX + EPSILON)
    assert p.times(p.a, INITIATION)[0] - start >= NEW_HANDSHAKE_TIMEOUT


def test_a_keepalive_of_ours_wants_no_answer() -> None:
    p = pair().connect()
    p.advance(30)
    p.clear()
    only_from(p, None)
    p.a.device.set_keepalive(p.a.peer, 1, p.now)
    p.advance(60)
    assert p.sent(p.a, INITIATION) == []
    assert len(p.sent(p.a, TRANSPORT)) == 61


def test_a_handshake_message_is_an_answer() -> None:
    for kind in (INITIATION, RESPONSE):
        p = pair().connect()
        p.advance(30)
        if kind == INITIATION:
            p.b.device.stop(p.now)
            p.b.device.start(p.now)
            p.b.send(packet(B4, A4))
        else:
            p.jump(REKEY_AFTER_TIME)
        p.a.send(packet(A4, B4))
        assert p.a.peer.timers.new_handshake_at < NEVER
        if kind == RESPONSE:
            initiation = p.a.take()[-1]
            p.b.receive(initiation, ENDPOINT_A)
        (answer,) = p.b.take()
        assert answer[0] == kind
        p.a.receive(answer, ENDPOINT_B)
        assert p.a.peer.timers.new_handshake_at == NEVER


def test_a_new_handshake_is_a_fresh_run_of_attempts() -> None:
    p = pair().connect()
    p.advance(30)
    only_from(p, None)
    p.a_to_b()
    p.a.peer.timers.attempts = MAX_HANDSHAKE_ATTEMPTS
    p.advance(NEW_HANDSHAKE_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX)
    assert p.a.peer.timers.attempts == 0
    p.clear()
    p.advance(300)
    assert len(p.sent(p.a, INITIATION)) == MAX_HANDSHAKE_ATTEMPTS + 1


# Keepalives


@pytest.mark.parametrize("kind", [INITIATION, RESPONSE])
def test_a_handshake_message_does_for_a_keepalive(kind: int) -> None:
    p = pair().connect()
    p.advance(KEEPALIVE_TIMEOUT - EPSILON)
    assert p.b.peer.timers.keepalive_at < NEVER
    if kind == INITIATION:
        session = p.b.peer.session
        assert session is not None
        p.b.device._tables.end_sessions(p.b.peer, [session])
        p.b.send(packet(B4, A4))
    else:
        p.a.device.stop(p.now)
        p.a.device.start(p.now)
        p.b.receive(a_response_wanted(p), ENDPOINT_A)
    assert [data[0] for data in p.b.take()] == [kind]
    assert p.b.peer.timers.keepalive_at == NEVER


def a_response_wanted(p: Pair) -> bytes:
    p.a.send(packet(A4, B4))
    (initiation,) = p.a.take()
    return initiation


def test_another_keepalive_is_owed_only_for_what_came_after_the_last() -> None:
    p = pair().connect()
    p.a_to_b()
    p.advance(KEEPALIVE_TIMEOUT + EPSILON)
    assert not p.b.peer.timers.need_another_keepalive
    p.b_to_a()
    assert p.b.peer.timers.keepalive_at == NEVER
    p.a_to_b()
    p.clear()
    p.advance(60)
    assert len(p.sent(p.b, TRANSPORT)) == 1


def test_persistent_keepalive_starts_when_switched_on() -> None:
    p = pair()
    p.a.device.set_keepalive(p.a.peer, 25, p.now)
    assert p.a.device.next_deadline() == p.now
    p.advance(0)
    assert p.b.peer.last_handshake == p.now
    p.clear()
    p.a.device.set_keepalive(p.a.peer, 25, p.now)
    p.advance(0)
    assert p.log == []


def test_persistent_keepalive_is_put_off_by_handshake_messages() -> None:
    p = pair()
    for node in (p.a, p.b):
        node.device.set_endpoint(node.peer, None)
        node.device.set_keepalive(node.peer, 25, p.now)
        node.peer.timers.persistent_at = NEVER
        node.device.set_endpoint(node.peer, p.other(node).endpoint)
        node.peer.timers.persistent_at = NEVER
    response = a_response(p)
    assert p.a.peer.timers.persistent_at == p.b.peer.timers.persistent_at == p.now + 25
    p.jump(3)
    p.a.receive(response, ENDPOINT_B)
    assert p.a.peer.timers.persistent_at == p.now + 25


# Giving up, completing, erasing


def test_giving_up_owes_no_keepalive() -> None:
    p = pair()
    only_from(p, None)
    p.a_to_b()
    p.advance(19 * (REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX))
    while p.a.peer.staged:
        p.a.peer.timers.keepalive_at = p.now + 1000
        p.advance(1)
    assert p.a.peer.timers.keepalive_at == NEVER


def test_giving_up_does_not_put_off_erasing() -> None:
    p = pair().connect()
    erased = p.a.peer.timers.zero_keys_at
    p.jump(REJECT_AFTER_TIME)
    only_from(p, None)
    p.a_to_b()
    p.advance(120)
    assert p.a.device.counters[Drop.STAGED] == 1
    assert p.a.peer.timers.zero_keys_at == erased


def test_a_complete_handshake_ends_the_run_of_attempts() -> None:
    p = pair()
    only_from(p, None)
    p.a_to_b()
    p.advance(20)
    assert p.a.peer.timers.attempts > 2
    p.wire = lambda sender, data: True
    p.advance(REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX)
    assert p.b.delivered == [packet(A4, B4)]
    assert (p.a.peer.timers.attempts, p.a.peer.timers.retransmit_at) == (0, NEVER)


def test_an_unconfirmed_session_is_erased_too() -> None:
    p = pair()
    a_response(p)
    assert p.b.peer.slots.next is not None
    p.a.device.stop(p.now)
    p.advance(ZERO_KEYS_AFTER - EPSILON)
    assert p.b.peer.slots.all()
    p.advance(2 * EPSILON)
    assert p.b.peer.slots.all() == []
    assert p.b.device._tables.indices == {}


@pytest.mark.parametrize("age", [REJECT_AFTER_TIME - 1, REJECT_AFTER_TIME])
def test_a_new_session_erases_previous_ones_that_open_nothing_more(age: float) -> None:
    p = pair().connect()
    old = {node: node.peer.session for node in (p.a, p.b)}
    p.jump(age)
    for session in old.values():
        assert session is not None
    p.a.peer.last_sent_handshake = p.now - REKEY_TIMEOUT
    p.a_to_b()
    p.a_to_b()
    p.jump(1)
    assert len(p.b.delivered) == 2
    for node in (p.a, p.b):
        assert node.peer.session is not old[node]
        kept = old[node] in node.peer.slots.all()
        assert kept is (age < REJECT_AFTER_TIME)
        assert (old[node].local_index in node.device._tables.indices) is kept  # type: ignore[union-attr]


def test_keys_that_are_due_to_be_erased_open_and_seal_nothing_more() -> None:
    p = pair().connect()
    p.a.device.set_keepalive(p.a.peer, 1, p.now)
    p.a.take()
    sealed = p.b.peer.session
    assert sealed is not None
    p.jump(ZERO_KEYS_AFTER)
    p.a.device.handle_timer(p.now)
    assert [data[0] for data in p.a.take()] == [INITIATION]
    p.a.receive(sealed.keys.seal(packet(B4, A4)), ENDPOINT_B)
    assert p.a.device.counters == {Drop.UNKNOWN_INDEX: 1}


# Clocks that jump


def skewed(p: Pair) -> Callable[[float], None]:
    """Give b a clock of its own; returns what lets time pass for both, at the same speed."""
    p.b.clock = Clock()
    p.b.clock.now = p.now
    p.b.device._tables.tai64n = p.b.clock.tai64n

    def run(seconds: float, step: float = 0.25) -> None:
        for _ in range(int(seconds / step)):
            for node in (p.a, p.b):
                node.clock.now += step
                node.device.handle_timer(node.clock.now)
            p.deliver()

    return run


@pytest.mark.parametrize(("jump", "until_missed"), [(100, REJECT_AFTER_TIME), (200, 0), (600, 0), (40_000, 0)])
@pytest.mark.parametrize("jumper", ["a", "b"])
@pytest.mark.parametrize("talker", ["a", "b"])
def test_one_side_that_jumps_forward_is_back_within_seconds(
    talker: str, jumper: str, jump: float, until_missed: float
) -> None:
    p = pair().connect()
    run = skewed(p)
    run(3)
    getattr(p, jumper).clock.now += jump
    run(until_missed)
    recovers(p, run, talker, within=NEW_HANDSHAKE_TIMEOUT + REKEY_TIMEOUT + 1)


@pytest.mark.parametrize("jump", [100, 200, 600, 40_000])
@pytest.mark.parametrize("jumper", ["a", "b"])
@pytest.mark.parametrize("talker", ["a", "b"])
def test_one_side_that_jumps_backward_is_back_once_the_other_side_misses_it(
    talker: str, jumper: str, jump: float
) -> None:
    """Only its own monotonic time: the time stamps, taken from the wall clock, go on."""
    p = pair().connect()
    run = skewed(p)
    run(3)
    jumping = getattr(p, jumper).clock
    jumping.now -= jump
    jumping.wall_offset += jump
    run(REJECT_AFTER_TIME)
    recovers(p, run, talker, within=2 * (NEW_HANDSHAKE_TIMEOUT + REKEY_TIMEOUT))


def recovers(p: Pair, run: Callable[[float], None], talker: str, within: float) -> None:
    """Packets flow again by then, and go on flowing."""
    send = p.a_to_b if talker == "a" else p.b_to_a
    receiver = p.b if talker == "a" else p.a
    for _ in range(int(within)):
        send(b"try")
        run(1)
    p.clear()
    for n in range(300):
        send(b"%d" % n)
        run(1)
    source, destination = (A4, B4) if talker == "a" else (B4, A4)
    assert receiver.delivered == [packet(source, destination, b"%d" % n) for n in range(300)]


@pytest.mark.parametrize("back", [10.0, 3600.0])
def test_a_wall_clock_that_steps_back_waits_until_it_passed_its_last_time_stamp(back: float) -> None:
    p = pair().connect()
    p.clock.wall_offset -= back
    p.a.device.stop(p.now)
    p.a.device.start(p.now)
    p.a.send(packet(A4, B4))
    p.b.receive(p.a.take()[0], ENDPOINT_A)
    assert p.b.take() == []
    assert p.b.device.counters == {Drop.REPLAYED_INITIATION: 1}
    p.clock.now += back + EPSILON
    p.a.device.stop(p.now)
    p.a.device.start(p.now)
    p.a.send(packet(A4, B4))
    p.b.receive(p.a.take()[0], ENDPOINT_A)
    assert [data[0] for data in p.b.take()] == [RESPONSE]


def test_a_wall_clock_that_jumps_forward_is_accepted() -> None:
    p = pair().connect()
    p.clock.wall_offset += 10**9
    p.jump(REKEY_AFTER_TIME)
    p.a_to_b()
    assert p.b.peer.last_handshake == p.now
