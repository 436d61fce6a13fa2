"""From a handshake to a value: how exact, how soon, at what cost, and never without evidence. 50 ms round trip."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.unit.pathmtu.path import ROUND_TRIP, WITNESS, Flow, Path, World, world
from wgnode.pathmtu.credit import CONVERGENCE, SMALLEST_FOUND
from wgnode.pathmtu.known import Evidence, Guess, State, Why
from wgnode.pathmtu.ladder import RESOLUTION, RUNGS

USUAL = [rung for rung in RUNGS if rung <= 1500]


def found_at(run: World, truth: int) -> float:
    """When the value came to within the resolution below the truth, for good."""
    return next(at for at, size, _ in run.values if truth - RESOLUTION <= size <= truth)


@pytest.mark.parametrize("truth", USUAL)
def test_on_the_ladder_within_a_second_of_the_first_handshake(truth: int) -> None:
    run = world(Path([(0, truth)])).run(5)
    assert run.search.known.size == truth
    assert run.search.known.evidence is Evidence.PROBE
    assert run.search.state is State.COMPLETE
    assert run.search.known.since <= 1
    assert run.cost() <= CONVERGENCE * truth


@pytest.mark.parametrize("truth", [577, 700, 1001, 1199, 1281, 1300, 1357, 1399, 1443, 1471, 1499])
def test_off_the_ladder_exact_within_three_seconds(truth: int) -> None:
    run = world(Path([(0, truth)])).run(5)
    assert truth - RESOLUTION < run.search.known.size <= truth
    assert run.search.known.since <= 3
    assert run.probes[-1][0] <= 3
    assert run.cost() <= CONVERGENCE * run.search.known.size


@pytest.mark.parametrize("truth", [1280, 1440, 1500, 1503, 2002, 3000, 4100, 8500, 8896, 9000, 9001])
def test_a_link_with_jumbo_frames_costs_no_more(truth: int) -> None:
    run = world(Path([(0, truth)]), largest=9001).run(5)
    assert truth - RESOLUTION < run.search.known.size <= truth
    assert run.cost() <= CONVERGENCE * run.search.known.size
    assert run.search.known.since <= (1 if truth in RUNGS else 3)


def test_paths_below_what_every_host_takes_are_found_within_the_smallest_allowance() -> None:
    run = world(Path([(0, 300)])).run(10)
    assert 300 - RESOLUTION < run.search.known.size <= 300
    assert run.cost() <= CONVERGENCE * SMALLEST_FOUND


def test_before_the_handshake_and_without_any_answer_nothing_vouches_for_the_value() -> None:
    run = world(Path([(0, 1500)], answers=False), flow=Flow(10)).run(100)
    assert [(size, evidence) for _, size, evidence in run.values] == [(1280, Evidence.UNKNOWN)]
    assert run.search.state is State.BASE
    assert run.cost() <= CONVERGENCE * SMALLEST_FOUND + run.traffic * 0.01


def test_a_peer_that_answers_nothing_is_asked_ever_more_seldom_and_only_while_something_is_sent() -> None:
    run = world(Path([(0, 1500)], answers=False), flow=Flow(10, packets=20, until=5000)).run(10_000)
    asked = sorted({at for at, _ in run.probes if at > 10})
    gaps = [later - at for at, later in pairwise(asked)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(600)
    assert max(asked) < 5700


def test_an_answer_is_a_value_at_once_upwards() -> None:
    run = world(Path([(0, 1500)])).run(ROUND_TRIP + 0.001)
    assert run.search.known.size == 1500


def test_a_profile_holds_for_the_first_moment_and_gives_way_to_a_probe() -> None:
    run = world(Path([(0, 1400)]), guess=Guess(1440, Evidence.PROFILE)).run(5)
    assert run.values[0] == (0.0, 1440, Evidence.PROFILE)
    assert run.too_large() <= 1
    assert run.search.known.size == 1400
    assert run.search.known.evidence is Evidence.PROBE


def test_memory_is_believed_after_one_probe() -> None:
    run = world(Path([(0, 1413)]), guess=Guess(1413, Evidence.MEMORY)).run(5)
    assert run.values[0] == (0.0, 1413, Evidence.MEMORY)
    assert run.values[-1][1:] == (1413, Evidence.PROBE)
    assert run.search.state is State.COMPLETE
    assert [size for _, size in run.probes] == [1280, 1413, 1500, WITNESS, WITNESS]


def test_memory_that_is_too_large_is_dropped_within_a_second() -> None:
    run = world(Path([(0, 1391)]), guess=Guess(1452, Evidence.MEMORY)).run(5)
    assert run.too_large() <= 1
    assert 1391 - RESOLUTION < run.search.known.size <= 1391


def test_memory_that_is_too_small_is_no_bound() -> None:
    run = world(Path([(0, 1500)]), guess=Guess(1380, Evidence.MEMORY)).run(5)
    assert run.search.known.size == 1500


def test_memory_of_a_peer_that_answers_nothing_stays_without_evidence() -> None:
    run = world(Path([(0, 1500)], answers=False), guess=Guess(1452, Evidence.MEMORY)).run(60)
    assert (run.search.known.size, run.search.known.evidence) == (1452, Evidence.UNKNOWN)


@pytest.mark.parametrize("why", list(Why))
def test_another_path_is_searched_at_once_and_nothing_of_the_former_holds(why: Why) -> None:
    path = Path([(0, 1500), (20, 1300)])
    run = world(path).run(20)
    run.search.changed(run.now, why)
    assert run.search.known.evidence is Evidence.UNKNOWN
    run.run(30)
    assert 1300 - RESOLUTION < run.search.known.size <= 1300
    assert run.search.known.since - 20 <= 1
    assert run.too_large() <= 1
    assert run.search.why is why


def test_an_answer_over_the_former_path_proves_nothing_of_the_new_one() -> None:
    run = world(Path([(0, 1500)], delay=0.1))
    run.at(0.05, lambda: run.search.changed(run.now, Why.ENDPOINT))
    run.at(0.06, lambda: setattr(run.path, "mtus", [(0, 1280)]))
    run.run(5)
    assert {size for _, size, evidence in run.values if evidence is Evidence.PROBE} == {1280}


def test_a_peer_that_roams_with_every_packet_is_not_probed_with_every_packet() -> None:
    run = world(Path([(0, 1500)]))
    for step in range(1000):
        run.at(step / 100, lambda: run.search.changed(run.now, Why.ENDPOINT))
    run.run(10)
    assert len({at for at, _ in run.probes}) <= 10 / 0.25 + 1


def test_without_a_session_nothing_is_probed_and_nothing_vouches() -> None:
    run = world(Path([(0, 1500)])).run(5)
    run.search.disable(run.now)
    run.search.sent(run.now, 1500, 1500)
    sent = len(run.probes)
    run.run(1000)
    assert len(run.probes) == sent
    assert (run.search.known.size, run.search.known.evidence) == (1500, Evidence.UNKNOWN)
    run.search.handshake(run.now, 0.05)
    run.run(1001)
    assert run.search.known.evidence is Evidence.PROBE


def test_history_says_what_was_known_before() -> None:
    run = world(Path([(0, 1500), (10, 1400)])).run(9)
    run.search.changed(run.now, Why.ROUTE)
    run.run(20)
    sizes = [(known.size, known.evidence) for known in run.search.history()]
    assert (1500, Evidence.PROBE) in sizes
    assert (1500, Evidence.UNKNOWN) in sizes
    assert [known.since for known in run.search.history()] == sorted(known.since for known in run.search.history())


def test_a_small_probe_has_to_be_smaller_than_the_link() -> None:
    with pytest.raises(ValueError, match=r"witness 104.*104 bytes"):
        world(Path([(0, 1500)]), largest=WITNESS)
