"""Small probes are counted: what a path loses whatever the size, and nothing that was never lost."""

from __future__ import annotations

from tests.unit.pathmtu.path import ROUND_TRIP, Path, world
from wgnode.pathmtu.known import Why
from wgnode.pathmtu.small import MOST, Small


def searched_often(path: Path, times: int = 40) -> tuple[int, int]:
    """(sent, answered) of a path that is searched anew each five seconds."""
    run = world(path)
    for number in range(times):
        run.run(5.0 * (number + 1))
        run.search.changed(run.now, Why.ASKED)
    run.run(5.0 * times + 5)
    return run.search.small.sent, run.search.small.answered


def test_a_path_that_loses_large_ones_only_has_lost_no_small_one() -> None:
    sent, answered = searched_often(Path([(0, 1357)]))
    assert answered == sent > 80


def test_a_path_that_loses_a_tenth_each_way_has_lost_about_a_fifth() -> None:
    sent, answered = searched_often(Path([(0, 1500)], loss=0.1), 200)
    assert 0.12 < 1 - answered / sent < 0.26


def test_what_is_under_way_when_another_search_begins_is_no_loss() -> None:
    run = world(Path([(0, 1500)]))
    run.run(ROUND_TRIP / 2)
    assert run.search.small.sent > 0
    run.search.changed(run.now, Why.ASKED)
    run.run(5)
    assert run.search.small.sent == run.search.small.answered


def test_what_was_out_for_longer_than_an_answer_takes_is_one() -> None:
    small = Small()
    small.start(b"1", 0.0)
    small.start(b"2", 9.5)
    small.clear(10.0, timeout=1.0)
    assert (small.sent, small.answered) == (1, 0)


def test_one_that_was_never_sent_is_not_counted_and_a_late_answer_counts_once() -> None:
    small = Small()
    for name in (b"1", b"2", b"3"):
        small.start(name, 0.0)
    small.drop(b"1")
    small.land(b"2")
    small.land(b"2")
    assert (small.sent, small.answered) == (2, 1)


def test_a_path_that_is_dead_for_long_costs_no_memory() -> None:
    small = Small()
    for number in range(10 * MOST):
        small.start(number.to_bytes(4, "big"), float(number))
    assert (small.sent, len(small._open)) == (10 * MOST, MOST)
