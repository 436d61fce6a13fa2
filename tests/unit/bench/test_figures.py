"""Medians and ratios: by round, quiet rounds first, and nothing out of nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.dataplane import results
from tests.bench.dataplane.figures import Figure, figure, resident
from tests.unit.bench.samples import run, sample


def test_the_ratio_is_the_median_of_the_rounds_ratios_and_not_the_ratio_of_the_medians() -> None:
    ours, theirs = (6.0, 9.0, 8.0), (1.0, 3.0, 6.0)
    found = run(
        *(sample("fast", "tcp", number, value) for number, value in enumerate(ours, 1)),
        *(sample("wireguard-go", "tcp", number, value) for number, value in enumerate(theirs, 1)),
    )
    assert figure(found, "fast", "tcp") == Figure(median=8.0, low=6.0, high=9.0, rounds=3, ratio=3.0, noisy=False)


def test_a_round_without_the_reference_counts_for_the_median_only() -> None:
    found = run(sample("fast", "tcp", 1, 4), sample("fast", "tcp", 2, 8), sample("wireguard-go", "tcp", 2, 2))
    assert figure(found, "fast", "tcp") == Figure(6, 4, 8, 2, ratio=4, noisy=False)


def test_noisy_rounds_are_left_out_where_there_is_a_quiet_one() -> None:
    quiet, noisy = sample("fast", "tcp", 1, 4), sample("fast", "tcp", 2, 1, noisy=True)
    assert figure(run(quiet, noisy), "fast", "tcp") == Figure(4, 4, 4, 1, ratio=None, noisy=False)
    assert figure(run(noisy), "fast", "tcp") == Figure(1, 1, 1, 1, ratio=None, noisy=True)


def test_nothing_measured_is_no_figure() -> None:
    assert figure(run(sample("fast", "tcp", 1, 4)), "fast", "tcp8") is None
    assert figure(run(sample("none", "tcp", 1, 4, processor=[], resident=[])), "none", "tcp", "per_gigabyte") is None
    assert resident(run(sample("none", "tcp", 1, 4, resident=[])), "none") is None


def test_processor_time_is_of_both_ends_by_gigabyte_and_memory_of_the_larger_end() -> None:
    found = run(
        sample("fast", "tcp", 1, 4, more={"gigabytes": 1.5}), sample("fast", "tcp8", 1, 4, resident=[31.0, 8.0])
    )
    cost = figure(found, "fast", "tcp", "per_gigabyte")
    assert cost is not None
    assert cost.median == pytest.approx(2.0)
    assert resident(found, "fast") == 31.0


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = run(sample("fast", "tcp", 1, 4.5, more={"p99": 1.0}))
    found.failures.append(results.Failure("gotatun", "", 1, "no"))
    found.missing["fast-null"] = "why"
    found.write(tmp_path / "new" / "run.json")
    assert results.read(tmp_path / "new" / "run.json") == found
