"""Whoever forges, floods, repeats or lies."""

from __future__ import annotations

from random import Random

import pytest

from tests.unit.pathmtu.path import WITNESS, Flow, Path, world
from wgnode.pathmtu.credit import CONVERGENCE, SHARE
from wgnode.pathmtu.flight import ID_LENGTH, LATEST, MOST, Flight
from wgnode.pathmtu.known import Evidence, Guess
from wgnode.pathmtu.search import Search

BUSY = Flow(20, packets=25)


def started(largest: int = 1500) -> Search:
    search = Search(0.0, largest=largest, witness=WITNESS, random=Random(1).randbytes)
    search.handshake(0.0)
    return search


def test_a_reply_to_a_probe_never_sent_changes_nothing() -> None:
    search = started()
    search.poll(0.0)
    before = (search.known, search.deadline(), search.state)
    assert not search.answered(0.01, bytes(ID_LENGTH))
    assert not search.answered(0.01, b"")
    assert (search.known, search.deadline(), search.state) == before


def test_a_reply_counts_once() -> None:
    search = started()
    probe = search.poll(0.0)[-3]
    assert search.answered(0.05, probe.id)
    assert search.known.size == probe.size == 1500
    assert not search.answered(0.06, probe.id)


def test_a_reply_counts_late_but_not_for_ever() -> None:
    flight = Flight()
    flight.start(b"a", 1400, 0.0)
    flight.start(b"b", 1400, 0.0)
    assert flight.land(b"a", LATEST) is not None
    assert flight.land(b"b", LATEST + 0.1) is None


def test_what_is_under_way_is_bounded() -> None:
    flight = Flight()
    for number in range(10 * MOST):
        flight.start(number.to_bytes(2, "big"), 1400, 0.0)
    assert flight.land((9 * MOST - 1).to_bytes(2, "big"), 0.1) is None
    assert flight.land((9 * MOST).to_bytes(2, "big"), 0.1) is not None


def test_a_flood_of_forged_hints_lowers_nothing_and_keeps_the_budget() -> None:
    run = world(Path([(0, 1452)]), flow=BUSY).run(5)
    for step in range(20_000):
        run.at(5 + step / 1000, lambda size=600 + step % 900: run.search.hint(run.now, size))
    run.run(30)
    assert run.sizes(1) == {1452}
    assert run.cost(5) <= SHARE * run.traffic + CONVERGENCE * 1452
    assert len({at for at, _ in run.probes if 5 <= at < 25}) <= 25


def test_a_forged_hint_while_idle_costs_nothing() -> None:
    run = world(Path([(0, 1452)]), flow=Flow(10, until=3)).run(10)
    before = len(run.probes)
    for step in range(1000):
        run.search.hint(run.now, 1300)
        run.run(10 + step)
    assert len(run.probes) <= before + 2


def test_a_true_hint_is_found_to_be_true() -> None:
    run = world(Path([(0, 1500), (5, 1413)]), flow=Flow(20, size=1500)).run(5.0)
    run.search.sent(5.0, 1500, 1500)
    run.search.hint(5.0, 1413)
    run.run(8)
    assert 1409 <= run.search.known.size <= 1413
    assert 1413 in {size for at, size in run.probes if at > 5}


@pytest.mark.parametrize("size", [-1, 0, 68, WITNESS - 1, 1452, 1500, 65535, 10**9])
def test_hints_that_say_nothing_are_nothing(size: int) -> None:
    run = world(Path([(0, 1452)]), flow=Flow(10, until=3)).run(10)
    run.search.sent(run.now, 100, 100)
    before = run.search.deadline()
    run.search.hint(run.now, size)
    assert run.search.deadline() == before


def test_over_a_peer_that_answers_nothing_a_hint_is_all_there_is_down_to_base() -> None:
    run = world(Path([(0, 1400)], answers=False), guess=Guess(1500, Evidence.PROFILE)).run(30)
    run.search.sent(30, 1500, 1500)
    run.search.hint(30, 600)
    assert run.search.known.size == 1500
    run.search.hint(30, 1400)
    assert (run.search.known.size, run.search.known.evidence) == (1400, Evidence.HINT)


def test_a_liar_who_answers_no_large_probe_lowers_its_own_value_only() -> None:
    run = world(Path([(0, 700)]), flow=BUSY).run(10)
    assert 696 <= run.search.known.size <= 700


def test_our_own_kernel_that_refuses_is_believed_at_once() -> None:
    search = started()
    for send in search.poll(0.0):
        if send.size > 1440:
            search.refused(0.0, send.id)
        else:
            search.answered(0.05, send.id)
    assert search.known.size == 1420
    now, tried = 0.05, set()
    while search.deadline() < 5:
        now = search.deadline()
        for send in search.poll(now):
            tried.add(send.size)
            search.refused(now, send.id) if send.size > 1440 else search.answered(now, send.id)
    assert 1436 < search.known.size <= 1440
    assert len([size for size in tried if size > 1440]) <= 6


def test_what_could_not_be_sent_says_nothing() -> None:
    search = started()
    now = 0.0
    for _ in range(2):
        for send in search.poll(now):
            search.unsent(now, send.id)
        now = search.deadline()
    assert (search.known.size, search.known.evidence) == (1280, Evidence.UNKNOWN)
    for send in search.poll(now):
        search.answered(now + 0.05, send.id)
    assert search.known.evidence is Evidence.PROBE


def test_ids_are_of_fresh_randomness() -> None:
    drawn: list[bytes] = []
    random = Random(5)

    def draw(size: int) -> bytes:
        drawn.append(random.randbytes(size))
        return drawn[-1]

    search = Search(0.0, largest=1500, witness=WITNESS, random=draw)
    search.handshake(0.0)
    assert [send.id for send in search.poll(0.0)] == drawn
    assert {len(each) for each in drawn} == {ID_LENGTH}
