"""A value that was found: kept under loss, dropped when the path falls, raised when it grows, and free while idle."""

from __future__ import annotations

import pytest

from tests.sample import choose
from tests.unit.pathmtu.path import WITNESS, Flow, Path, World, world
from wgnode.pathmtu.batch import Batch, Step
from wgnode.pathmtu.credit import CONVERGENCE, SHARE, Credit
from wgnode.pathmtu.keep import CONFIRM_INTERVAL, FLOWING, LOSSY_RAISE, MIN_SILENCE, RAISE_TIMER, Facts, Keep
from wgnode.pathmtu.known import Evidence
from wgnode.pathmtu.ladder import RESOLUTION
from wgnode.pathmtu.roundtrip import RoundTrip
from wgnode.pathmtu.silence import Silence

BUSY = Flow(20, packets=25)
"""500 packets a second: 6 Mbit/s."""
CHANGE = 10.0
FALLS = [(1500, 1492), (1500, 1440), (1500, 1280), (1440, 1280), (1492, 1413), (1500, 1194), (1360, 700), (9001, 1500)]


@pytest.mark.parametrize(("before", "after"), FALLS)
def test_under_traffic_a_fall_is_found_within_three_seconds(before: int, after: int) -> None:
    run = world(Path([(0, before), (CHANGE, after)]), flow=BUSY, largest=max(1500, before)).run(CHANGE + 10)
    assert 0 < run.too_large() <= 3
    assert after - RESOLUTION < run.search.known.size <= after
    assert run.search.known.since <= CHANGE + 3
    assert run.search.known.evidence is Evidence.PROBE


def test_a_fall_is_to_the_next_size_that_passes_not_to_the_minimum() -> None:
    run = world(Path([(0, 1500), (CHANGE, 1492)]), flow=BUSY).run(CHANGE + 10)
    assert min(size for at, size, _ in run.values if at >= CHANGE) == 1492


def test_traffic_that_stalls_with_the_fall_is_enough() -> None:
    """As TCP's does: in flight when the path falls, and then retransmitted ever more seldom."""
    run = world(Path([(0, 1500), (CHANGE, 1400)]), flow=Flow(20, packets=25, until=CHANGE)).run(CHANGE)
    for wait in (0.01, 0.2, 0.6, 1.4):
        run.at(CHANGE + wait, lambda: run.search.sent(run.now, 1500, 1500))
    run.run(CHANGE + 3)
    assert run.search.known.size == 1400


@pytest.mark.sampled
@pytest.mark.parametrize("seed", choose(range(1000), 20, "ten minutes of loss"))
def test_ten_minutes_of_loss_are_no_fall_of_more_than_four_bytes_for_more_than_two_seconds(seed: int) -> None:
    truth = (1500, 1440, 1473)[seed % 3]
    run = world(Path([(0, truth)], loss=0.05), seed, flow=Flow(4, packets=125)).run(600)
    low = _longest_below(run, run.search.known.size - RESOLUTION, since=3)
    assert truth - RESOLUTION <= run.search.known.size <= truth
    assert low <= 2
    assert run.cost(3) <= SHARE * run.traffic + CONVERGENCE * truth * run.search.credit.convergences


def _longest_below(run: World, size: int, since: float) -> float:
    longest, began = 0.0, None
    for at, value, _ in [*run.values, (run.now, 10_000, Evidence.UNKNOWN)]:
        if value < size and at >= since and began is None:
            began = at
        elif value >= size and began is not None:
            longest, began = max(longest, at - began), None
    return longest


@pytest.mark.parametrize("dark", [(CHANGE, CHANGE + 0.5), (CHANGE, CHANGE + 5), (CHANGE, CHANGE + 60)])
def test_where_small_ones_are_lost_too_nothing_is_too_large(dark: tuple[float, float]) -> None:
    run = world(Path([(0, 1452)], dark=[dark]), flow=BUSY).run(CHANGE + 100)
    assert run.sizes(1) == {1452}
    assert run.search.known.evidence is Evidence.PROBE
    after = [at for at, _, evidence in run.values if evidence is Evidence.PROBE and at >= dark[1]]
    assert not after or after[0] <= dark[1] + 3


def test_after_a_long_outage_the_last_value_is_kept_without_evidence() -> None:
    run = world(Path([(0, 1452)], dark=[(CHANGE, 1000)]), flow=BUSY).run(CHANGE + 20)
    assert (run.search.known.size, run.search.known.evidence) == (1452, Evidence.UNKNOWN)


def test_a_queue_that_delays_all_by_a_second_is_no_fall() -> None:
    run = world(Path([(0, 1500)]), flow=BUSY).run(CHANGE)
    for step in range(40):
        run.at(CHANGE + step / 10, lambda delay=step % 12 / 10: setattr(run.path, "delay", 0.025 + delay))
    run.run(CHANGE + 30)
    assert run.sizes(1) == {1500}


def test_a_path_that_reorders_is_no_fall() -> None:
    run = world(Path([(0, 1500)], jitter=0.2, duplicates=0.3), flow=BUSY).run(120)
    assert run.sizes(1.5) == {1500}


def test_nothing_is_sent_while_idle() -> None:
    run = world(Path([(0, 1452)]), flow=Flow(10, until=CHANGE)).run(CHANGE + 2)
    before = len(run.probes)
    run.run(10 * RAISE_TIMER)
    assert len(run.probes) == before


def test_small_packets_alone_confirm_nothing() -> None:
    run = world(Path([(0, 1452)]), flow=Flow(10, size=500)).run(30)
    assert [at for at, _ in run.probes if at > 2] == []


@pytest.mark.parametrize("rate", [0.1, 1, 10, 100])
def test_keeping_costs_at_most_its_share_of_the_traffic_beyond_the_first_allowance(rate: float) -> None:
    run = world(Path([(0, 1452)]), flow=Flow(rate)).run(300)
    assert run.cost() <= CONVERGENCE * 1452 + SHARE * run.traffic
    run = world(Path([(0, 1452)]), flow=Flow(rate, answered=False)).run(300)
    assert run.cost() <= CONVERGENCE * 1452 + SHARE * run.traffic


def test_a_one_way_flow_is_nothing_suspicious() -> None:
    run = world(Path([(0, 1452)]), flow=Flow(20, packets=25, answered=False)).run(60)
    assert run.sizes(1) == {1452}
    assert run.cost(1) <= SHARE * run.traffic


def test_growth_is_found_by_the_raise_timer() -> None:
    run = world(Path([(0, 1400), (CHANGE, 1500)]), flow=Flow(2, packets=10)).run(RAISE_TIMER * 0.85)
    assert run.search.known.size == 1400
    run.run(RAISE_TIMER * 1.15)
    assert run.search.known.size == 1500


def test_growth_is_looked_for_only_where_the_link_has_room() -> None:
    run = world(Path([(0, 1500)]), flow=Flow(2, packets=10)).run(3 * RAISE_TIMER)
    assert {size for at, size in run.probes if at > 1} == {1500, WITNESS}


def test_raise_timers_of_many_peers_lie_apart() -> None:
    times = set()
    for phase in (0.0, 0.25, 0.5, 0.75):
        run = world(Path([(0, 1400)]), flow=Flow(1, packets=20), phase=phase).run(RAISE_TIMER * 1.15)
        times.add(round(next(at for at, size in run.probes if at > 2 and size > 1404), 0))
    assert len(times) == 4
    assert min(times) >= RAISE_TIMER * 0.9
    assert max(times) <= RAISE_TIMER * 1.1 + 2


def test_after_a_search_that_chance_may_have_ended_early_growth_is_looked_for_soon_once() -> None:
    credit = Credit()
    credit.begin()
    credit.settle(1440)
    facts = Facts(1440, [1444], credit, 0.2, False, 208)
    keep = Keep(phase=0.5)
    keep.found(0.0, lossy=True)
    keep.sent(LOSSY_RAISE - FLOWING, 1440, 1440)
    keep.decide(LOSSY_RAISE - FLOWING, facts)
    assert keep.due(0.0, facts) == LOSSY_RAISE
    assert keep.decide(LOSSY_RAISE, facts) == (Step.RAISE, [1444])
    keep.sent(LOSSY_RAISE + RAISE_TIMER - FLOWING, 1440, 1440)
    keep.decide(LOSSY_RAISE + RAISE_TIMER - FLOWING, facts)
    assert keep.due(0.0, facts) == LOSSY_RAISE + RAISE_TIMER


def test_a_small_one_lost_beside_a_larger_one_is_chance() -> None:
    ids = iter((b"large", b"small", b"other"))
    batch = Batch(Step.SEARCH, [1400], WITNESS, 2, 0.0)
    batch.send(0.0, lambda: next(ids), RoundTrip())
    assert not batch.lossy()
    batch.answer(b"large", 0.05, RoundTrip())
    assert batch.lossy()
    batch.answer(b"small", 0.05, RoundTrip())
    batch.answer(b"other", 0.05, RoundTrip())
    assert not batch.lossy()


def found(size: int) -> tuple[Keep, Facts]:
    credit = Credit()
    credit.begin()
    credit.settle(size)
    keep = Keep(phase=0.5)
    keep.found(0.0, lossy=False)
    return keep, Facts(size, [], credit, 0.2, False, 2 * WITNESS)


def test_silence_after_a_full_size_packet_confirms_sooner_than_routine_does() -> None:
    keep, facts = found(1440)
    keep.sent(0.5, 1440, 1440)
    assert keep.due(0.0, facts) == 0.5 + MIN_SILENCE
    keep.heard()
    assert keep.due(0.0, facts) == CONFIRM_INTERVAL
    keep.sent(0.6, 1280, 1440)
    assert keep.due(0.0, facts) == CONFIRM_INTERVAL, "would pass wherever anything does"
    keep.sent(0.6, 1281, 1440)
    assert keep.due(0.0, facts) == 0.6 + MIN_SILENCE, "no longer ones may be sent here, and a path may fall by rungs"


def test_an_answer_to_a_probe_from_before_a_fall_raises_nothing() -> None:
    run = world(Path([(0, 1500), (CHANGE, 1400)]), flow=BUSY).run(CHANGE + 3)
    assert run.search.known.size == 1400
    former = [probe for probe, (_, size) in zip(run.ids, run.probes, strict=True) if size == 1500]
    assert not any(run.search.answered(run.now, probe) for probe in former)
    assert run.search.known.size == 1400


def test_a_convergence_has_its_allowance_once() -> None:
    credit = Credit()
    credit.begin()
    assert credit.allows(CONVERGENCE * 1400, 1400)
    credit.converge(CONVERGENCE * 1400 - 100)
    assert credit.allows(100, 1400)
    assert not credit.allows(101, 1400)
    credit.begin()
    assert credit.allows(101, 1400)


def test_that_a_peer_answered_over_another_path_is_forgotten() -> None:
    silence = Silence()
    silence.answered(0.0)
    silence.begin(other_path=False)
    assert silence.answers
    silence.begin(other_path=True)
    assert not silence.answers
