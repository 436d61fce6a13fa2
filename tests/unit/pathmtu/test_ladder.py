"""The ladder of sizes, and the plan made of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wgnode.pathmtu import ladder
from wgnode.pathmtu.bracket import MAX_PROBES, Bracket
from wgnode.pathmtu.ladder import RESOLUTION, RUNGS

COLLECTED = "1280 1340 1358 1380 1400 1410 1420 1428 1430 1440 1450 1452 1460 1480 1492 1500 8500 8896 9000 9001"


def test_all_that_was_collected_is_on_it_with_a_source() -> None:
    assert {int(size) for size in COLLECTED.split()} <= set(RUNGS)
    assert all(source for source in ladder.SOURCES.values())


def test_next_rungs() -> None:
    assert (ladder.below(1440), ladder.above(1440)) == (1430, 1450)
    assert (ladder.below(1441), ladder.above(1439)) == (1440, 1440)
    assert (ladder.below(576), ladder.above(9001)) == (0, 9002)
    assert list(ladder.between(1400, 1428)) == [1410, 1420]


@given(st.integers(105, 9001), st.sampled_from((1500, 9001)), st.integers(576, 9001))
def test_without_loss_any_path_is_found_within_the_resolution_below(truth: int, largest: int, guess: int) -> None:
    truth = min(truth, largest)
    bracket = Bracket(largest)
    sizes = bracket.first(min(guess, largest), trusted=False)
    bracket.answered(104)
    tried = 0
    while sizes:
        assert all(bracket.low < size <= largest for size in sizes) or not tried
        for size in sizes:
            (bracket.answered if size <= truth else bracket.lost)(size)
        tried += len(sizes)
        sizes = bracket.next()
    assert truth - RESOLUTION < bracket.low <= truth
    assert bracket.exact()
    assert tried <= 60


def test_an_end_is_sure_after_three_losses_or_at_the_links_own() -> None:
    bracket = Bracket(1500)
    bracket.answered(1440)
    for count in range(MAX_PROBES):
        assert (bracket.sure(), bracket.exact()) == (count == 0, False)  # nothing lost: the link's end
        bracket.lost(1444)
    assert bracket.sure()
    assert bracket.exact()
    assert bracket.next() == []


def test_what_is_answered_clears_the_losses_below_it() -> None:
    bracket = Bracket(1500)
    bracket.answered(1280)
    bracket.lost(1400)
    bracket.lost(1480)
    bracket.answered(1440)
    assert (bracket.low, bracket.high, bracket.losses(1400)) == (1440, 1480, 0)
    bracket.lost(1400)
    assert bracket.high == 1480


def test_above_ethernet_one_rung_at_a_time() -> None:
    bracket = Bracket(9001)
    bracket.answered(1500)
    assert bracket.next() == [2002]
    assert max(bracket.first(1280, trusted=False)) == 1500


def test_growth_is_looked_for_just_above_at_the_next_rung_and_at_the_top() -> None:
    bracket = Bracket(1500)
    bracket.answered(1440)
    assert bracket.raised() == [1444, 1450, 1500]
    bracket.answered(1500)
    assert bracket.raised() == []
