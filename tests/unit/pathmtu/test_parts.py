"""The search's parts one by one, where the whole hides what a single one does wrong."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from tests.unit.pathmtu.path import Path, world
from wgnode.pathmtu import credit, keep, ladder
from wgnode.pathmtu.batch import Batch, Send, Step
from wgnode.pathmtu.bracket import MAX_PROBES, Bracket
from wgnode.pathmtu.credit import Credit
from wgnode.pathmtu.known import Evidence, Guess, State
from wgnode.pathmtu.roundtrip import INITIAL_TIMEOUT, MIN_GRACE, REORDERED, RoundTrip
from wgnode.pathmtu.search import Search

WITNESS = 104


def test_the_numbers_that_are_promised() -> None:
    """Tests of what follows from them go by their names."""
    assert (credit.CONVERGENCE, credit.SHARE, MAX_PROBES) == (40, 0.01, 3)
    assert (keep.RAISE_TIMER, keep.CONFIRM_INTERVAL, ladder.BASE, ladder.RESOLUTION) == (600.0, 1.0, 1280, 4)


# A batch


def trip(seconds: float = 0.05) -> RoundTrip:
    made = RoundTrip()
    made.sample(seconds)
    return made


def sent(sizes: list[int], at: float = 0.0) -> tuple[Batch, dict[int, bytes]]:
    """With one witness; the ids by size."""
    batch = Batch(Step.SEARCH, sizes, WITNESS, 1, at)
    return batch, {send.size: send.id for send in batch.send(at, iter_ids(), trip())}


def iter_ids() -> Callable[[], bytes]:
    random = Random(1)
    return lambda: random.randbytes(12)


def test_only_the_witness_shortens_the_wait_since_larger_ones_take_longer() -> None:
    batch, ids = sent([1280, 1400])
    due = batch.due
    batch.answer(ids[1280], 0.05, trip())
    assert batch.due == due
    batch.answer(ids[WITNESS], 0.06, trip())
    assert batch.due == 0.06 + trip().grace(0.06)


def test_after_a_stall_the_witness_says_how_long_to_wait_and_not_the_queues_before_it() -> None:
    stalled = RoundTrip()
    for seconds in (0.002, 0.9, 0.1, 1.2):
        stalled.sample(seconds)
    assert stalled.grace(0.002) == MIN_GRACE
    assert stalled.grace(0.02) == REORDERED * 0.02
    assert stalled.grace(5.0) == stalled.grace(9.0) < 2.0


def test_a_batch_of_which_only_the_witness_went_waits_for_it() -> None:
    batch, ids = sent([1400])
    due = batch.due
    batch.forget(ids[1400], 0.01, refused=True)
    assert batch.due == due
    batch.answer(ids[WITNESS], 0.05, trip())
    assert batch.due == 0.05
    assert batch.lost() == [1400]


# What is known of one path


def test_its_own_losses_speak_against_a_size() -> None:
    bracket = Bracket(1500)
    bracket.lost(1280, MAX_PROBES)
    assert (bracket.against(1279), bracket.against(1280), bracket.against(1400)) == (0, MAX_PROBES, MAX_PROBES)


def test_above_ethernet_rungs_are_tried_one_at_a_time_from_below() -> None:
    bracket = Bracket(9001)
    bracket.answered(1500)
    assert bracket.next() == [2002]
    bracket.answered(2002)
    assert bracket.next() == [4352]


def test_an_end_that_was_lost_once_is_tried_again_beside_the_others() -> None:
    bracket = Bracket(1500)
    bracket.answered(1400)
    bracket.lost(1500)
    assert 1500 not in bracket.next(), "a rung above BASE: one loss is enough while there are rungs between"
    bracket = Bracket(1500)
    bracket.answered(1000)
    bracket.lost(1280)
    assert bracket.next()[-1] == 1280
    bracket.lost(1280)
    assert 1280 not in bracket.next()


@pytest.mark.parametrize(("low", "just_above"), [(1400, True), (1361, False)])
def test_just_above_a_rung_is_tried_since_most_paths_end_on_one(low: int, just_above: bool) -> None:
    bracket = Bracket(1500)
    bracket.answered(low)
    for _ in range(2):
        bracket.lost(min(ladder.above(low), low + 12))
    assert (low + ladder.RESOLUTION in bracket.next()) == just_above


# What it may cost


def test_what_is_saved_up_is_bounded() -> None:
    account = Credit()
    account.settle(1400)
    account.earn(10**9, 1400)
    assert account.left(credit.MOST * 1400)
    assert not account.left(credit.MOST * 1400 + 1)


# The search


def search(now: float = 0.0, largest: int = 1500) -> Search:
    made = Search(now, largest=largest, witness=WITNESS, random=Random(1).randbytes)
    made.handshake(now)
    return made


def answer(search: Search, sends: list[Send], now: float, most: int = 1500) -> None:
    for send in sends:
        if send.size <= most:
            search.answered(now, send.id)


def test_what_our_own_link_refuses_is_never_tried_again() -> None:
    made, tried, now = search(), list[int](), 0.0
    while made.state is not State.COMPLETE:
        now = max(now, made.deadline())
        for send in made.poll(now):
            tried.append(send.size)
            if send.size > 1400:
                made.refused(now, send.id)
            else:
                made.answered(now + 0.05, send.id)
    assert tried.count(1500) == 1
    assert 1400 - ladder.RESOLUTION < made.known.size <= 1400


def test_a_size_that_our_own_link_refuses_falls_without_three_losses() -> None:
    run = world(Path([(0.0, 1500)])).run(5)
    made, now = run.search, run.now
    assert made.known.size == 1500
    made.sent(now, 10**6, 1500)
    (large, *_) = made.poll(now + keep.CONFIRM_INTERVAL)
    assert large.size == 1500
    made.refused(now + 1.0, large.id)
    made.small_alive()
    answer(made, made.poll(now + 2.0), now + 2.05, 1400)
    for _ in range(3):
        due = made.deadline()
        answer(made, made.poll(due), due + 0.05, 1400)
    assert made.known.size < 1500
    assert made.known.evidence is Evidence.PROBE


def test_a_hint_in_the_middle_of_a_search_over_a_peer_that_answers_is_no_value() -> None:
    made = search()
    made.sent(0.0, 10**5, 1500)
    sends = made.poll(0.0)
    answer(made, sends[-3:], 0.05)
    assert made.state is not State.COMPLETE
    before = made.known
    made.hint(0.06, before.size - 100)
    assert made.known == before


def test_how_long_answers_take_is_learned_from_answers() -> None:
    made = search()
    sends = made.poll(0.0)
    assert made.deadline() == INITIAL_TIMEOUT
    answer(made, sends, 0.05, 1400)
    now = made.deadline()
    made.poll(now)
    while made.state is not State.COMPLETE and made.deadline() <= now:
        made.poll(now)
    assert made.deadline() - now < INITIAL_TIMEOUT / 2


def test_a_path_that_was_dark_at_first_is_searched_from_memory_once_it_is_back() -> None:
    run = world(Path([(0.0, 1440)], dark=[(0.0, 0.5)]), guess=Guess(1440, Evidence.MEMORY)).run(5)
    assert {size for _, size, _ in run.values} == {1440}
    assert run.values[-1][2] is Evidence.PROBE
    assert min(size for at, size in run.probes if size > 1280 and at > 0.5) >= 1440, "nothing smaller needs a try"
