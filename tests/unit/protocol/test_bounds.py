"""What others send costs bounded memory and bounded work, whatever they send."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.protocol.pairs import A4, B4, ENDPOINT_A, ENDPOINT_B, KEY_C, Node, Pair, packet, pair
from wgnode.protocol import Device, Endpoint, noise
from wgnode.protocol import schedule as schedule_module
from wgnode.protocol.constants import (
    HANDSHAKE_QUEUE,
    KEEPALIVE_TIMEOUT,
    MAX_STAGED_PACKETS,
    PREVIOUS_KEYPAIRS,
    REKEY_TIMEOUT,
    REKEY_TIMEOUT_JITTER_MAX,
)
from wgnode.protocol.cookie import CookieGenerator
from wgnode.protocol.errors import Drop
from wgnode.protocol.messages import COOKIE_REPLY, INITIATION, CookieReply
from wgnode.protocol.ratelimit import HANDSHAKES_PER_SECOND, MAX_SOURCES, Budget
from wgnode.protocol.schedule import HEAP_SLACK, NEVER, Schedule
from wgnode.protocol.timers import Timers

INDICES_OF_A_PEER = PREVIOUS_KEYPAIRS + 3
"""Previous sessions, current, next, and an outstanding initiation."""


def strangers(p: Pair) -> list[bytes]:
    """An initiation to b, with a right mac1, by somebody whom b does not know."""
    stranger = Node(p.clock, Endpoint("203.0.113.1", 1), (KEY_C,), 7)
    peer = stranger.device.add_peer(p.b.device.public_keys)
    stranger.device.set_endpoint(peer, ENDPOINT_B)
    stranger.device.add_allowed_ip(peer, "0.0.0.0/0")
    stranger.device.start(p.now)
    stranger.send(packet(A4, B4))
    return stranger.take()


def somewhere(n: int) -> Endpoint:
    return Endpoint(f"{20 + (n >> 16)}.{n >> 8 & 255}.{n & 255}.7", 1024 + n % 60000)


@pytest.fixture
def dhs(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Says how many DHs were computed so far."""
    computed, real = count(), noise.dh

    def counted(*args: object) -> bytes:
        next(computed)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(noise, "dh", counted)
    return lambda: int(repr(computed)[6:-1])


def flood(p: Pair, seconds: float, rate: int, send: Callable[[int], None]) -> None:
    """`send(n)` at a steady rate, timers served all the while."""
    for n in range(int(seconds * rate)):
        p.clock.now += 1 / rate
        send(n)
        if n % 100 == 0:
            p.b.device.handle_timer(p.now)


def test_a_flood_of_initiations_costs_bounded_work_and_a_session_goes_on(dhs: Callable[[], int]) -> None:
    p = pair().connect()
    (message,) = strangers(p)
    before, replies = dhs(), 0

    def send(n: int) -> None:
        nonlocal replies
        p.b.receive(message, somewhere(n))
        replies += sum(data[0] == COOKIE_REPLY for data in p.b.take())
        if n % 50 == 0:
            p.a.send(packet(A4, B4, b"%d" % n))
            for data in p.a.take():
                p.b.receive(data, ENDPOINT_A)
            p.b.take()

    flood(p, 10, 5000, send)
    assert [int(inner[20:]) for inner in p.b.delivered] == list(range(0, 50_000, 50))
    assert dhs() - before <= HANDSHAKE_QUEUE / 8 + HANDSHAKES_PER_SECOND
    assert replies == p.b.device.counters[Drop.COOKIE_SENT] > 49_000
    assert set(p.b.device.counters) == {Drop.UNKNOWN_PEER, Drop.COOKIE_SENT}
    assert_small(p.b.device)


def test_many_sources_that_prove_their_address_cost_bounded_work_too(dhs: Callable[[], int]) -> None:
    p = pair(under_load=lambda now: True)
    (message,) = strangers(p)
    proven = []
    for n in range(250):
        sender = CookieGenerator(p.b.device.public_keys[0])
        sender.add_macs(message[:116], p.now)
        p.clock.now += 0.01
        p.b.receive(message, somewhere(n))
        sender.consume(CookieReply.parse(p.b.take()[0]), p.now)
        proven.append(sender.add_macs(message[:116], p.now))
    before = dhs()
    flood(p, 2, 5000, lambda n: p.b.receive(proven[n % 250], somewhere(n % 250)))
    assert HANDSHAKES_PER_SECOND * 1.8 < dhs() - before <= HANDSHAKES_PER_SECOND * 2.1 + 1
    assert p.b.take() == []
    assert p.b.device.counters[Drop.OVERLOAD] > 5000
    assert p.b.device.counters[Drop.RATE_LIMITED] == 0


def test_a_peer_gets_through_a_flood() -> None:
    p = pair()
    (message,) = strangers(p)
    for when in (0.5, REKEY_TIMEOUT + 2 * REKEY_TIMEOUT_JITTER_MAX):
        flood(p, when, 2000, lambda n: p.b.receive(message, somewhere(n)))
        p.b.take()
        p.a.send(packet(A4, B4, b"through"))
        p.a.device.handle_timer(p.now)
        exchange(p)
    assert p.b.delivered == [packet(A4, B4, b"through")] * 2


def exchange(p: Pair) -> None:
    """Only what is between the two of them."""
    for _ in range(4):
        for sender, receiver in ((p.a, p.b), (p.b, p.a)):
            for data, to in sender.device.datagrams_to_send():
                if to == receiver.endpoint:
                    receiver.receive(data, sender.endpoint)


def assert_small(device: Device) -> None:
    """Every table that outside bytes can fill is within its bound."""
    tables = device._tables
    assert len(tables.indices) <= INDICES_OF_A_PEER * len(device.peers)
    assert len(device._defence._limiter) <= MAX_SOURCES
    assert len(tables.schedule) <= 2 * len(device.peers) + HEAP_SLACK + 1
    assert set(tables.counters) <= set(Drop)
    assert all(len(peer.staged) <= MAX_STAGED_PACKETS for peer in device.peers)
    assert all(len(static._shared) <= 2 for static in tables.statics.values())


def test_a_peer_that_restarts_all_the_time_holds_a_bounded_number_of_sessions() -> None:
    p = pair()
    for _ in range(500):
        p.jump(0.021)
        p.a.device.stop(p.now)
        p.a.device.start(p.now)
        p.a_to_b()
        assert_small(p.b.device)
    assert len(p.b.delivered) == 500


def test_a_peer_that_answers_each_packet_by_a_keepalive_fills_no_heap() -> None:
    p = pair().connect()
    session = p.b.peer.session
    assert session is not None
    for _ in range(2000):
        p.a.send(packet(A4, B4))
        p.a.take()
        p.a.device.next_deadline()
        p.a.receive(session.keys.seal(b""), ENDPOINT_B)
        p.a.device.next_deadline()
    assert_small(p.a.device)


def test_a_datagram_is_answered_by_one_at_most_and_what_waits() -> None:
    p = pair()
    for n in range(200):
        p.a.send(packet(A4, B4, b"%d" % n))
    (initiation,) = p.a.take()
    p.b.receive(initiation, ENDPOINT_A)
    (response,) = p.b.take()
    p.a.receive(response, ENDPOINT_B)
    assert len(p.a.take()) == MAX_STAGED_PACKETS
    assert initiation[0] == INITIATION


# The schedule's heap against a plain list of deadlines


class Deadlines:
    """Timers that nobody acts on."""

    def __init__(self, number: int) -> None:
        self.schedule: Schedule[Timers] = Schedule()
        self.all = [Timers(each, self.schedule, lambda: 0.0) for each in range(number)]

    def earliest(self) -> float:
        return min(timers.earliest() for timers in self.all)


changes = st.lists(st.tuples(st.integers(0, 4), st.sampled_from("kpxndr"), st.integers(0, 50)), max_size=400)


@pytest.fixture(scope="module")
def little_slack() -> Iterator[None]:
    """Tidy up all the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedule_module, "HEAP_SLACK", 2)
        yield


@pytest.mark.usefixtures("little_slack")
@given(changes)
def test_the_schedule_is_never_late_and_stays_small(script: list[tuple[int, str, int]]) -> None:
    tested, now = Deadlines(5), 0.0
    for which, what, number in script:
        timers = tested.all[which]
        if what == "k":
            timers.arm_keepalive(now + number)
        elif what == "p":
            timers.arm_persistent(now + number)
        elif what == "x":
            timers.keepalive_at = timers.persistent_at = NEVER
        elif what == "r":
            timers.reset()
        elif what == "n":
            deadline = tested.schedule.next_deadline()
            assert deadline == (None if tested.earliest() == NEVER else tested.earliest())
        else:
            now += number
            due = {id(each) for each in tested.all if each.earliest() <= now}
            fired = [each for each in tested.schedule.due(now, 10**9) if each.take_due(now)]
            assert {id(each) for each in fired} == due
            assert len(fired) == len(due)
        assert len(tested.schedule) <= 2 * len(tested.all) + 2


def test_tidying_keeps_one_entry_for_each_peer_and_costs_a_constant_for_each_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tested, looked_at = Deadlines(500), 0
    tidy = Schedule._tidy

    def counted(schedule: Schedule[Timers]) -> None:
        nonlocal looked_at
        looked_at += len(schedule)
        tidy(schedule)
        assert len(schedule) == len({id(entry[2]) for entry in schedule._heap})

    monkeypatch.setattr(Schedule, "_tidy", counted)
    deadlines = 100_000
    for n in range(deadlines):
        tested.all[n % 500].arm_keepalive(float(deadlines - n))
        assert len(tested.schedule) <= 2 * 500 + HEAP_SLACK
    assert 0 < looked_at <= 3 * deadlines
    assert tested.schedule.next_deadline() == tested.earliest() == 1 + KEEPALIVE_TIMEOUT
    fired = [timers for timers in tested.schedule.due(float(deadlines), 10**9) if timers.take_due(float(deadlines))]
    assert len(fired) == len({id(timers) for timers in fired}) == 500


# The budget


def test_a_budget_gives_a_tenth_at_once_and_its_rate_after() -> None:
    budget = Budget(100)
    assert [budget.spend(5.0) for _ in range(11)] == [True] * 10 + [False]
    assert not budget.spend(5.009)
    assert budget.spend(5.0101)
    assert sum(budget.spend(6 + n / 1000) for n in range(1000)) == pytest.approx(110, abs=1)


def test_a_budget_survives_a_clock_that_jumps() -> None:
    budget = Budget(100)
    assert sum(budget.spend(1000.0) for _ in range(50)) == 10
    assert sum(budget.spend(10.0) for _ in range(50)) == 0
    assert sum(budget.spend(10.05) for _ in range(50)) == 5
    assert sum(budget.spend(9000.0) for _ in range(50)) == 10
