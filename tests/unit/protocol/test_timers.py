"""Every rule of the timers on both sides of its deadline (whitepaper 6; the rules of vectors/timers.json)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.unit.protocol.pairs import A4, B4, ENDPOINT_A, ENDPOINT_B, KEY_A, Node, Pair, packet, pair
from wgnode.protocol import Endpoint
from wgnode.protocol.constants import (
    KEEPALIVE_TIMEOUT,
    LAST_MINUTE_REKEY,
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
from wgnode.protocol.timers import NEVER, Timers

KEEPALIVE_LENGTH = 32
EPSILON = 0.001


def nothing_arrives(p: Pair) -> None:
    p.wire = lambda sender, data: False


def keepalives(p: Pair, node: Node) -> list[float]:
    return [round(at - 1000, 3) for at, sender, data in p.log if sender is node and len(data) == KEEPALIVE_LENGTH]


# REKEY_TIMEOUT, its jitter, REKEY_ATTEMPT_TIME


def test_an_unanswered_initiation_is_repeated_after_rekey_timeout_and_jitter() -> None:
    p = pair()
    nothing_arrives(p)
    p.a_to_b()
    p.advance(REKEY_TIMEOUT - EPSILON)
    assert len(p.sent(p.a, INITIATION)) == 1
    p.advance(REKEY_TIMEOUT_JITTER_MAX + EPSILON)
    assert len(p.sent(p.a, INITIATION)) == 2


def test_each_retry_has_its_own_jitter_ephemeral_key_and_timestamp() -> None:
    p = pair()
    nothing_arrives(p)
    p.a_to_b()
    p.advance(60)
    times = p.times(p.a, INITIATION)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(REKEY_TIMEOUT <= gap <= REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX for gap in gaps)
    assert len(set(gaps)) == len(gaps)
    ephemerals = {data[8:40] for data in p.sent(p.a, INITIATION)}
    assert len(ephemerals) == len(times)


def test_retries_end_after_rekey_attempt_time_and_waiting_packets_are_dropped() -> None:
    p = pair()
    nothing_arrives(p)
    p.a_to_b()
    p.advance(300)
    assert len(p.sent(p.a, INITIATION)) == MAX_HANDSHAKE_ATTEMPTS + 2 == 20
    assert p.a.device.counters == {Drop.STAGED: 1}
    assert p.a.device.next_deadline() == pytest.approx(p.times(p.a, INITIATION)[-1] + 5 + ZERO_KEYS_AFTER, abs=0.4)


def test_new_data_after_giving_up_starts_a_fresh_run() -> None:
    p = pair()
    nothing_arrives(p)
    p.a_to_b()
    p.advance(300)
    p.log.clear()
    p.a_to_b()
    p.advance(300)
    assert len(p.sent(p.a, INITIATION)) == 20


def test_initiations_to_a_peer_are_at_least_rekey_timeout_apart() -> None:
    p = pair()
    nothing_arrives(p)
    for _ in range(30):
        p.a_to_b()
        p.advance(0.1)
    assert len(p.sent(p.a, INITIATION)) == 1


def test_an_initiation_wanted_too_soon_after_our_response_is_made_up_for() -> None:
    p = pair()
    p.a.send(packet(A4, B4))
    (initiation,) = p.a.take()
    p.b.receive(initiation, ENDPOINT_A)
    assert [data[0] for data in p.b.take()] == [RESPONSE]
    p.a.device.stop(p.now)
    p.a.device.start(p.now)
    p.b_to_a(b"waits")
    assert p.sent(p.b) == []
    p.advance(REKEY_TIMEOUT - EPSILON)
    assert p.sent(p.b) == []
    p.advance(REKEY_TIMEOUT_JITTER_MAX + EPSILON)
    assert p.a.delivered == [packet(B4, A4, b"waits")]


# REKEY_AFTER_TIME, REJECT_AFTER_TIME, the last minute


def test_the_initiator_renews_on_sending_with_an_older_session() -> None:
    p = pair().connect()
    p.jump(REKEY_AFTER_TIME - EPSILON)
    p.a_to_b()
    assert p.sent(p.a, INITIATION) == []
    p.jump(2 * EPSILON)
    p.a_to_b()
    assert len(p.sent(p.a, INITIATION)) == 1
    assert len(p.b.delivered) == 2
    assert p.a.peer.last_handshake == p.now


def test_the_responder_does_not_renew_by_age() -> None:
    p = pair().connect()
    p.jump(REJECT_AFTER_TIME - EPSILON)
    p.a.device.remove_allowed_ip(p.a.peer, f"{B4}/32")
    keypair = p.b.peer.session
    assert keypair is not None
    assert not keypair.is_initiator
    p.b.send(packet(B4, A4))
    assert [data[0] for data in p.b.take()] == [TRANSPORT]


def test_a_session_sends_until_reject_after_time() -> None:
    p = pair().connect()
    p.jump(REJECT_AFTER_TIME - EPSILON)
    p.b_to_a()
    assert p.a.delivered == [packet(B4, A4)]
    p = pair().connect()
    p.jump(REJECT_AFTER_TIME)
    p.b.send(packet(B4, A4))
    assert [data[0] for data in p.b.take()] == [INITIATION]


def test_a_session_receives_until_reject_after_time() -> None:
    for wait, delivered in ((REJECT_AFTER_TIME - EPSILON, 1), (REJECT_AFTER_TIME, 0)):
        p = pair().connect()
        p.a.send(packet(A4, B4))
        (message,) = p.a.take()
        p.jump(wait)
        p.b.receive(message, ENDPOINT_A)
        assert len(p.b.delivered) == delivered
        assert p.b.device.counters[Drop.EXPIRED] == 1 - delivered


def from_b(p: Pair) -> bytes:
    p.b.send(packet(B4, A4))
    (message,) = p.b.take()
    return message


def test_an_initiator_that_only_receives_renews_once_at_the_last_minute() -> None:
    p = pair().connect()
    p.jump(LAST_MINUTE_REKEY - EPSILON)
    p.a.receive(from_b(p), ENDPOINT_B)
    assert p.a.take() == []
    p.jump(2 * EPSILON)
    p.a.receive(from_b(p), ENDPOINT_B)
    assert [data[0] for data in p.a.take()] == [INITIATION]
    p.jump(6)
    p.a.receive(from_b(p), ENDPOINT_B)
    assert p.a.take() == []


def test_after_a_completed_handshake_the_last_minute_counts_again() -> None:
    p = pair().connect()
    for _ in range(2):
        p.jump(LAST_MINUTE_REKEY + EPSILON)
        p.log.clear()
        p.b_to_a()
        assert len(p.sent(p.a, INITIATION)) == 1
        assert p.a.peer.last_handshake == p.now


def test_a_responder_does_not_renew_at_the_last_minute() -> None:
    p = pair().connect()
    p.jump(LAST_MINUTE_REKEY + EPSILON)
    keypair = p.a.peer.session
    assert keypair is not None
    p.b.receive(keypair.keys.seal(packet(A4, B4)), ENDPOINT_A)
    assert p.b.take() == []


# Keepalives


def test_a_keepalive_answers_data_after_keepalive_timeout() -> None:
    p = pair().connect()
    p.advance(KEEPALIVE_TIMEOUT - EPSILON)
    assert keepalives(p, p.b) == []
    p.advance(2 * EPSILON)
    assert keepalives(p, p.b) == [10.0]
    p.advance(100)
    assert keepalives(p, p.b) == [10.0]
    assert keepalives(p, p.a) == []


def test_no_keepalive_when_something_was_sent_meanwhile() -> None:
    p = pair().connect()
    p.advance(KEEPALIVE_TIMEOUT - EPSILON)
    p.b_to_a()
    p.advance(KEEPALIVE_TIMEOUT - EPSILON)
    assert keepalives(p, p.b) == []


def test_more_data_during_the_wait_is_answered_by_another_keepalive() -> None:
    p = pair().connect()
    p.advance(5)
    p.a_to_b()
    p.a_to_b()
    p.advance(60)
    assert keepalives(p, p.b) == [10.0, 20.0]


def test_data_that_was_answered_needs_no_other_keepalive() -> None:
    p = pair().connect()
    p.a_to_b()
    p.b_to_a()
    p.advance(1)
    p.a_to_b()
    p.advance(60)
    assert keepalives(p, p.b) == [11.0]


def test_keepalives_never_answer_keepalives() -> None:
    p = pair().connect()
    p.advance(60)
    assert len(p.log) == 1
    assert keepalives(p, p.b) == [10.0]


@pytest.mark.parametrize("interval", [1, 25])
def test_persistent_keepalive_goes_out_in_silence(interval: int) -> None:
    p = pair().connect()
    p.advance(30)
    p.log.clear()
    p.a.device.set_keepalive(p.a.peer, interval, p.now)
    start = p.now
    p.advance(75)
    assert [round(at - start, 6) for at, _, _ in p.log] == [float(n) for n in range(0, 76, interval)]


def test_persistent_keepalive_is_put_off_by_any_authenticated_packet() -> None:
    for send in (Pair.a_to_b, Pair.b_to_a):
        p = pair()
        p.a.device.set_keepalive(p.a.peer, 25, p.now)
        p.advance(20)
        send(p)
        p.log.clear()
        p.advance(9)
        assert keepalives(p, p.a) == []
        p.advance(26 + EPSILON)
        assert keepalives(p, p.a) == ([55.0] if send is Pair.a_to_b else [30.0, 55.0])


def test_persistent_keepalive_starts_with_the_link() -> None:
    p = pair(start=False)
    p.a.device.set_keepalive(p.a.peer, 25, p.now)
    assert p.a.device.next_deadline() is None
    p.b.device.start(p.now)
    p.a.device.start(p.now)
    p.deliver()
    assert p.b.peer.last_handshake == p.now


def test_persistent_keepalive_starts_when_the_endpoint_becomes_known() -> None:
    p = pair(know_b=False)
    p.a.device.set_keepalive(p.a.peer, 25, p.now)
    p.advance(3)
    assert p.log == []
    p.a.device.set_endpoint(p.a.peer, ENDPOINT_B)
    p.advance(0)
    assert p.b.peer.last_handshake == p.now


def test_persistent_keepalive_survives_an_attempt_that_was_given_up() -> None:
    for interval in (1, 25):
        p = pair()
        nothing_arrives(p)
        p.a.device.set_keepalive(p.a.peer, interval, p.now)
        p.advance(400)
        p.wire = lambda sender, data: True
        p.advance(30)
        assert p.b.peer.last_handshake is not None


def test_persistent_keepalive_comes_back_with_a_private_key() -> None:
    p = pair()
    p.a.device.set_keepalive(p.a.peer, 25, p.now)
    p.advance(1)
    p.a.device.set_private_keys([], p.now)
    p.advance(100)
    p.a.device.set_private_keys([KEY_A], p.now)
    start = p.now
    p.advance(25)
    assert p.b.peer.last_handshake is not None
    assert p.b.peer.last_handshake >= start


def test_persistent_keepalive_switched_off_is_silent() -> None:
    p = pair()
    p.a.device.set_keepalive(p.a.peer, 25, p.now)
    p.advance(1)
    p.a.device.set_keepalive(p.a.peer, 0, p.now)
    p.log.clear()
    p.advance(100)
    assert p.log == []


def test_a_changed_interval_counts_from_now() -> None:
    p = pair()
    p.a.device.set_keepalive(p.a.peer, 25, p.now)
    p.advance(1)
    p.log.clear()
    p.a.device.set_keepalive(p.a.peer, 3, p.now)
    p.advance(3 - EPSILON)
    assert p.log == []
    p.advance(2 * EPSILON)
    assert len(p.log) == 1


# A peer that does not answer


def test_data_without_an_answer_starts_a_new_handshake() -> None:
    p = pair().connect()
    p.advance(30)
    p.log.clear()
    p.wire = lambda sender, data: sender is p.a
    start = p.now
    p.a_to_b()
    p.advance(NEW_HANDSHAKE_TIMEOUT - EPSILON)
    assert p.sent(p.a, INITIATION) == []
    p.advance(REKEY_TIMEOUT_JITTER_MAX + EPSILON)
    (at,) = p.times(p.a, INITIATION)
    assert NEW_HANDSHAKE_TIMEOUT <= at - start <= NEW_HANDSHAKE_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX


def test_any_authenticated_packet_is_an_answer() -> None:
    p = pair().connect()
    p.a_to_b()
    p.advance(100)
    assert p.sent(p.a, INITIATION) == []
    assert keepalives(p, p.b) == [10.0, 20.0]


def test_a_retransmission_forgets_the_source_address() -> None:
    p = pair().connect()
    p.jump(121)
    nothing_arrives(p)
    p.a_to_b()
    p.a.receive(from_b(p), Endpoint(*ENDPOINT_B[:2], source="192.0.2.1"))
    p.advance(REKEY_TIMEOUT - EPSILON)
    assert p.a.peer.endpoint == Endpoint(*ENDPOINT_B[:2], source="192.0.2.1")
    p.advance(REKEY_TIMEOUT_JITTER_MAX + EPSILON)
    assert p.a.peer.endpoint == ENDPOINT_B


def test_a_new_handshake_forgets_the_source_address() -> None:
    p = pair().connect()
    p.a.receive(from_b(p), Endpoint(*ENDPOINT_B[:2], source="192.0.2.1"))
    nothing_arrives(p)
    p.a_to_b()
    assert p.a.peer.endpoint == Endpoint(*ENDPOINT_B[:2], source="192.0.2.1")
    p.advance(16)
    assert p.a.peer.endpoint == ENDPOINT_B


# Erasing keys


def test_keys_are_erased_after_three_times_reject_after_time() -> None:
    p = pair().connect()
    p.advance(ZERO_KEYS_AFTER - EPSILON)
    assert p.a.peer.slots.all()
    assert p.b.peer.slots.all()
    p.advance(2 * EPSILON)
    for node in (p.a, p.b):
        assert node.peer.slots.all() == []
        assert node.device.next_deadline() is None
        assert node.device._tables.indices == {}


def test_a_new_session_puts_erasing_off() -> None:
    p = pair().connect()
    p.advance(170)
    p.a_to_b()
    p.advance(ZERO_KEYS_AFTER - EPSILON)
    assert p.a.peer.slots.all()


def test_an_unanswered_handshake_is_erased_too() -> None:
    p = pair()
    nothing_arrives(p)
    p.a_to_b()
    p.advance(110 + ZERO_KEYS_AFTER)
    assert p.a.peer.outstanding is None
    assert p.a.device._tables.indices == {}
    assert p.a.device.next_deadline() is None


# The schedule


def test_a_deadline_is_never_late_and_waking_early_is_harmless() -> None:
    p = pair().connect()
    for _ in range(50):
        p.a_to_b()
        p.b_to_a()
        p.advance(0.5)
    deadline = p.a.device.next_deadline()
    assert deadline is not None
    assert deadline <= min(peer.timers.earliest() for peer in p.a.device.peers)
    p.log.clear()
    p.a.device.handle_timer(p.now)
    assert p.a.take() == []


def test_what_was_disarmed_or_put_off_wakes_nobody() -> None:
    p = pair().connect()
    p.b_to_a()
    assert p.a.device.next_deadline() == p.now + KEEPALIVE_TIMEOUT
    p.a_to_b()
    assert p.a.device.next_deadline() == p.a.peer.timers.new_handshake_at > p.now + KEEPALIVE_TIMEOUT
    p.advance(3)
    p.b_to_a()
    assert p.a.device.next_deadline() == p.now + KEEPALIVE_TIMEOUT


def state(timers: Timers) -> tuple[object, ...]:
    return (timers.attempts, timers.need_another_keepalive, timers.sent_last_minute, timers.earliest())


def test_a_peer_that_is_new_or_reset_owes_nothing() -> None:
    new = pair(start=False).a.peer
    assert (state(new.timers), new.persistent_keepalive) == ((0, False, False, NEVER), 0)
    p = pair().connect()
    p.a.peer.timers.need_another_keepalive = p.a.peer.timers.sent_last_minute = True
    p.a.peer.timers.attempts = 3
    p.a.device.stop(p.now)
    assert state(p.a.peer.timers) == (0, False, False, NEVER)


def test_a_clock_that_jumps_forward_erases_first_and_connects_again() -> None:
    p = pair()
    p.a.device.set_keepalive(p.a.peer, 25, p.now)
    p.advance(1)
    p.jump(100_000)
    p.advance(1)
    assert p.a.peer.last_handshake is not None
    assert p.now - p.a.peer.last_handshake <= 1


def test_a_clock_that_jumps_backward_does_not_block_handshakes() -> None:
    p = pair().connect()
    p.clock.now -= 500
    p.clock.wall_offset += 501
    p.a.device.stop(p.now)
    p.a.device.start(p.now)
    p.a_to_b(b"again")
    assert p.b.delivered == [packet(A4, B4, b"again")]


def test_removed_peers_have_no_timers() -> None:
    p = pair().connect()
    p.a.device.remove_peer(p.a.peer.public_key)
    assert p.a.device.next_deadline() is None
    p.a.device.handle_timer(p.now + 1000)
    assert p.a.take() == []
