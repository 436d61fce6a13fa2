"""The search's parts one by one, where the whole hides what a single one does wrong."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from tests.unit.pathmtu.path import Path, world
from wgnode.pathmtu import credit, keep, ladder, roundtrip, stagger
from wgnode.pathmtu.batch import Batch, Send, Step
from wgnode.pathmtu.bracket import MAX_PROBES, Bracket
from wgnode.pathmtu.checksum import checksum, complete
from wgnode.pathmtu.credit import Credit
from wgnode.pathmtu.known import HISTORY, Evidence, Guess, History, Known, State
from wgnode.pathmtu.probe import ip_header, recognise
from wgnode.pathmtu.roundtrip import INITIAL_TIMEOUT, MIN_GRACE, REORDERED, RoundTrip
from wgnode.pathmtu.search import Search
from wgnode.pathmtu.toobig import too_big
from wgnode.pathmtu.value import Value

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
    assert {tried.count(size) for size in tried if size > 1400} == {1}
    assert 1400 - ladder.RESOLUTION < made.known.size <= 1400


def finished(truth: int = 1500) -> tuple[Search, float]:
    """A search that is over, with credit to keep what it found, and the time."""
    run = world(Path([(0.0, truth)])).run(5)
    run.search.sent(run.now, 10**6, truth)
    assert run.search.state is State.COMPLETE
    return run.search, run.now


def test_a_size_that_our_own_link_refuses_is_looked_below_at_once() -> None:
    made, now = finished()
    (large, *_) = made.poll(now + keep.CONFIRM_INTERVAL)
    assert large.size == 1500
    made.refused(now + 1.0, large.id)
    made.small_alive()
    sizes = [send.size for send in made.poll(now + 2.0)]
    assert {1280, 1492, 1500} <= set(sizes), "not the same size again, three times"


def lose(made: Search, now: float) -> float:
    """Confirmations of the present size, each lost beside a small one alive, until something else is sent: when."""
    for _ in range(MAX_PROBES):
        now = max(now, made.deadline())
        answer(made, made.poll(now), now + 0.05, WITNESS)
        now += 0.05
    return max(now, made.deadline())


def test_a_size_that_passes_after_all_is_kept_and_nothing_is_searched() -> None:
    made, now = finished()
    now = lose(made, now + keep.CONFIRM_INTERVAL)
    sends = made.poll(now)
    searched = made.credit.convergences
    assert len(sends) > 3
    answer(made, sends, now + 0.05)
    made.poll(made.deadline())
    assert (made.known.size, made.state, made.credit.convergences) == (1500, State.COMPLETE, searched)


@pytest.mark.parametrize("lossy", [True, False])
def test_a_path_that_lost_small_ones_is_looked_at_again_soon(lossy: bool) -> None:
    made, now, lost = search(), 0.0, not lossy
    while made.state is not State.COMPLETE:
        now = max(now, made.deadline())
        for send in made.poll(now):
            if send.size == WITNESS and not lost:
                lost = True
            elif send.size <= 1400:
                made.answered(now + 0.05, send.id)
    found, tried = made.known.size, set[int]()
    for tenth in range(int(10 * keep.LOSSY_RAISE) + 50):
        at = now + tenth / 10
        made.sent(at, 10**5, found)
        made.heard(at)
        sends = made.poll(at)
        tried |= {send.size for send in sends}
        answer(made, sends, at + 0.05, 1400)
    assert (max(tried) > found) == lossy


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


# The value


def test_what_was_only_said_outlives_a_session_as_what_it_is() -> None:
    made = Search(0.0, largest=1500, witness=WITNESS, random=Random(1).randbytes, guess=Guess(1440, Evidence.PROFILE))
    made.handshake(0.0)
    made.disable(1.0)
    assert (made.known.size, made.known.evidence) == (1440, Evidence.PROFILE)


def test_small_ones_alone_make_a_guess_give_way_and_prove_no_size() -> None:
    made = Search(0.0, largest=1500, witness=WITNESS, random=Random(1).randbytes, guess=Guess(1440, Evidence.PROFILE))
    made.handshake(0.0)
    answer(made, made.poll(0.0), 0.05, WITNESS)
    made.poll(made.deadline())
    assert (made.known.size, made.known.evidence) == (1280, Evidence.UNKNOWN)


def test_a_fall_below_what_most_paths_carry_is_believed_only_when_that_is_lost_for_sure() -> None:
    value = Value(0.0, 1500, Guess(1500, Evidence.MEMORY))
    value.fall(1.0, [1280, 1380, 1500], WITNESS)
    assert (value.size, value.known.evidence) == (1280, Evidence.UNKNOWN)
    value.fall(1.0, [1280, 1380, 1500], 1280)
    assert (value.size, value.known.evidence) == (1280, Evidence.PROBE)


def test_a_guess_is_no_larger_than_our_own_link() -> None:
    assert Value(0.0, 1500, Guess(9000, Evidence.MEMORY)).size == 1500


def test_what_is_remembered_of_the_past_is_bounded() -> None:
    history = History(Known(0, Evidence.PROBE, 0.0))
    for size in range(1, 100):
        history.set(size, Evidence.PROBE, 0.0)
    assert [known.size for known in history.former()] == list(range(99 - HISTORY, 99))


# Times


def test_silence_is_suspicious_only_after_an_answer_could_be_there() -> None:
    held, account = keep.Keep(0.5), Credit()
    account.settle(1500)
    held.found(0.0, lossy=False)
    held.sent(1.0, 1500, 1500)
    for timeout, wait in ((0.1, keep.MIN_SILENCE), (2.0, 2.0)):
        facts = keep.Facts(1500, (), account, timeout, False, 2 * WITNESS)
        assert held._suspicious(facts.timeout) == 1.0 + wait


def test_the_wait_for_a_late_one_is_half_a_round_trip_twice_its_variation_and_at_least_something() -> None:
    assert trip(0.001).grace(9.0) == roundtrip.MIN_GRACE == 0.01
    assert trip(0.4).grace(9.0) == 2 * 0.2, "nothing but the first sample is known"
    steady = RoundTrip()
    for _ in range(50):
        steady.sample(0.4)
    assert steady.grace(9.0) == pytest.approx(0.2, abs=0.01)


def test_an_answer_may_take_no_less_and_no_more_than_sensible() -> None:
    assert trip(0.001).timeout() == roundtrip.MIN_TIMEOUT
    assert trip(60.0).timeout() == roundtrip.MAX_TIMEOUT


def test_a_rest_saves_up_one_burst_and_no_more() -> None:
    gate = stagger.Stagger()
    starts = [gate(1000.0, stagger.BURST) for _ in range(3)]
    assert starts == pytest.approx(
        [1000.0, 1000.0 + stagger.BURST / stagger.RATE, 1000.0 + 2 * stagger.BURST / stagger.RATE]
    )


# Packets


def test_nobody_is_told_about_icmp_whose_type_is_not_there() -> None:
    """An IPv6 packet that is all extension header, and then says ICMPv6."""
    ours, theirs = (bytes([0xFD, *bytes(14), last]) for last in (1, 2))
    options = bytes([58, 179]) + bytes(1438)
    packet = b"\x60\0\0\0" + len(options).to_bytes(2, "big") + bytes([60, 64]) + ours + theirs + options
    assert too_big(packet, 1280, theirs) is None
    udp = packet[:40] + bytes([17]) + packet[41:]
    assert too_big(udp, 1280, theirs) is not None


def test_a_checksum_of_nothing_is_written_as_all_ones() -> None:
    assert complete(b"\xff\xff\0\0", 0, 2) == b"\xff\xff\xff\xff"


@pytest.mark.parametrize(("code", "is_one"), [(0, True), (1, False)])
def test_a_reply_with_a_code_is_none(code: int, is_one: bool) -> None:
    ours, theirs = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
    message = bytes([0, code, 0, 0]) + bytes(12)
    message = message[:2] + checksum(message).to_bytes(2, "big") + message[4:]
    packet = ip_header(theirs, ours, 1, len(message)) + message
    assert (recognise(packet, ours, theirs) is not None) == is_one
