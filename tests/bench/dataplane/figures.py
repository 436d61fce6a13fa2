"""Medians of rounds, and of the rounds' ratios to the reference."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from tests.bench.dataplane.implementations import REFERENCE
from tests.bench.dataplane.results import Results, Sample


@dataclass(frozen=True)
class Figure:
    """`ratio` is None where the reference was not measured; `noisy` when there is no quiet round."""

    median: float
    low: float
    high: float
    rounds: int
    ratio: float | None
    noisy: bool


def figure(
    results: Results, implementation: str, test: str, name: str = "value", reference: str = REFERENCE
) -> Figure | None:
    """`name` as in `Sample.figure`. Noisy rounds count only where there is no other; None without any figure."""
    rounds, noisy = by_round(results, implementation, test, name)
    if not rounds:
        return None
    others, _ = by_round(results, reference, test, name)
    ratios = [value / others[number] for number, value in rounds.items() if others.get(number)]
    values = list(rounds.values())
    ratio = statistics.median(ratios) if ratios else None
    return Figure(statistics.median(values), min(values), max(values), len(values), ratio, noisy)


def by_round(results: Results, implementation: str, test: str, name: str) -> tuple[dict[int, float], bool]:
    """The quiet rounds' figures; all, and True, where none was quiet."""
    samples = [each for each in results.samples if (each.implementation, each.test) == (implementation, test)]
    quiet = _figures([sample for sample in samples if not sample.noisy], name)
    return (quiet, False) if quiet else (found := _figures(samples, name), bool(found))


def _figures(samples: list[Sample], name: str) -> dict[int, float]:
    found = {sample.round: sample.figure(name) for sample in samples}
    return {number: value for number, value in found.items() if value is not None}


def resident(results: Results, implementation: str) -> float | None:
    """The most that either end had in memory after any measurement, in MB."""
    return max((max(s.resident) for s in results.samples if s.implementation == implementation and s.resident),
               default=None)  # fmt: skip
