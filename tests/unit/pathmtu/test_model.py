"""Any path, any schedule: what a search may never do, whatever happens. Cases are drawn; the series is sampled."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.sample import choose
from tests.unit.pathmtu.path import ROUND_TRIP, Flow, Path, World, world
from wgnode.pathmtu.credit import CONVERGENCE, SHARE, SMALLEST_FOUND
from wgnode.pathmtu.known import Evidence, Why
from wgnode.pathmtu.ladder import BASE, RESOLUTION, RUNGS

BOUND = 3.0
"""Seconds above the truth, under traffic."""
IN_A_SEARCH = 15
"""Round trips that a fall in the middle of a search may take to be noticed: until its end."""
FAR_BOUND = 20.0
"""With up to 900 ms round trip: a path that falls during a search is confirmed at the search's end."""
FLOW = Flow(20, packets=20)
"""400 packets a second."""
WIRE = st.one_of(st.sampled_from([rung for rung in RUNGS if rung <= 1500]), st.integers(576, 1500))
SCHEDULE = st.lists(st.tuples(st.floats(3, 20), WIRE), max_size=3)


def spending_is_kept(run: World) -> bool:
    """A convergence costs at most its allowance, all else its share, and a batch that finds a fall may be owed."""
    largest = max(SMALLEST_FOUND, *(size for _, size, _ in run.values))
    convergences = run.search.credit.convergences
    return run.cost() <= CONVERGENCE * largest * convergences + SHARE * run.traffic + 6 * largest


def values_have_evidence(run: World) -> bool:
    """A value that a probe vouches for was carried by the path within the last ten seconds before it was said."""
    return all(
        any(at - 10 <= sent <= at and size == probe <= run.path.mtu(sent) for sent, probe in run.probes)
        for at, size, evidence in run.values
        if evidence is Evidence.PROBE
    )


@settings(max_examples=60)
@example(1428, [(4.0, 580), (6.0, 576)], 31, 0.1, 0.0)  # it falls again at once: noticed at the search's end
@given(WIRE, SCHEDULE, st.integers(0, 2**32), st.sampled_from((0.0, 0.004, 0.1)), st.sampled_from((0.0, 0.2)))
def test_without_loss(truth: int, changes: list[tuple[float, int]], seed: int, jitter: float, twice: float) -> None:
    """Jitter reorders, some arrive twice; the path falls and rises in the middle."""
    path = Path([(0.0, truth), *sorted(changes)], jitter=jitter, duplicates=twice)
    run = world(path, seed, flow=FLOW).run(30)
    least = min(mtu for _, mtu in path.mtus)
    assert run.too_large() <= max(BOUND, IN_A_SEARCH * (ROUND_TRIP + 2 * jitter))
    assert run.search.known.size <= path.mtu(30)
    assert run.search.known.size > least - RESOLUTION
    if not changes:
        assert truth - RESOLUTION < run.search.known.size <= truth
    assert values_have_evidence(run)
    assert spending_is_kept(run)


@settings(max_examples=40)
@given(WIRE, WIRE, st.floats(0.02, 0.06), st.integers(0, 2**32))
def test_with_loss(before: int, after: int, loss: float, seed: int) -> None:
    """Chance may end a search early, never late: what is said was carried."""
    run = world(Path([(0.0, before), (8.0, after)], loss=loss), seed, flow=FLOW).run(40)
    assert run.search.known.size <= max(after, BASE if run.search.known.evidence is Evidence.UNKNOWN else 0)
    assert run.too_large() <= 2 * BOUND
    assert values_have_evidence(run)
    assert spending_is_kept(run)


@settings(max_examples=40)
@example(576, [(1.0, 10.0)], 0)
@given(WIRE, st.lists(st.tuples(st.floats(1, 30), st.floats(0.05, 10)), max_size=4), st.integers(0, 2**32))
def test_black_holes_are_no_sizes(truth: int, holes: list[tuple[float, float]], seed: int) -> None:
    """Nothing passes for a while, again and again: once found, the value stays."""
    path = Path([(0.0, truth)], dark=[(since, since + length) for since, length in holes])
    run = world(path, seed, flow=FLOW).run(60)
    assert all(truth - RESOLUTION < size <= truth for size in run.sizes(1.0))
    assert values_have_evidence(run)


@settings(max_examples=30)
@given(WIRE, st.lists(st.tuples(st.floats(0, 20), st.sampled_from(list(Why)), WIRE), max_size=6), st.integers(0, 2**32))
def test_other_paths(truth: int, moves: list[tuple[float, Why, int]], seed: int) -> None:
    """Each move is told of, as a roaming peer's is."""
    moves = sorted(moves, key=lambda move: move[0])
    path = Path([(0.0, truth), *((at, mtu) for at, _, mtu in moves)])
    run = world(path, seed, flow=FLOW)
    for at, why, _ in moves:
        run.at(at, lambda why=why: run.search.changed(run.now, why))
    run.run(25)
    assert run.too_large() <= 1.5
    assert path.mtu(25) - RESOLUTION < run.search.known.size <= path.mtu(25)
    assert spending_is_kept(run)


@pytest.mark.sampled
@pytest.mark.parametrize("seed", choose(range(3000), 40, "searches over drawn paths"))
def test_long_series(seed: int) -> None:
    """All of it together, jumbo links too. With a tenth of all round trips lost, chance rules all but the bounds."""
    random = Random(seed)
    largest = random.choice((1500, 1500, 9001))
    mtus = [(0.0, _draw(random, largest)), (random.uniform(4, 15), _draw(random, largest))]
    path = Path(mtus, random.choice((0, 0.01, 0.05)), random.choice((0, 0.1)), random.choice((0.005, 0.025, 0.15)))
    path.jitter = random.choice((0.0, path.delay / 2, 2 * path.delay))
    run = world(path, seed, Flow(20, packets=random.choice((10, 40))), largest).run(60)
    assert run.search.known.size <= mtus[1][1]
    assert run.too_large() <= (BOUND if not path.loss and path.delay < 0.1 else FAR_BOUND)
    assert values_have_evidence(run)
    assert spending_is_kept(run)


def _draw(random: Random, largest: int) -> int:
    return random.choice([rung for rung in RUNGS if rung <= largest] if random.random() < 0.5 else range(576, largest))
