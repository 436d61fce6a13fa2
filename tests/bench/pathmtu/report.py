"""Figures of all rounds, medians of them, and each goal beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median

from tests.bench.pathmtu.ask import Found
from tests.bench.pathmtu.runs import Change, Goodput, Kept

BUDGET = 40
NEAR, EXACT, AFTER_CHANGE, LOW = 1.0, 3.0, 3.0, 2.0
OF_HAND_TUNED, SHARE, COST = 0.99, 0.01, 0.99


@dataclass
class Results:
    """Of all rounds; what was not found in time is None."""

    goodput: dict[str, list[Goodput]] = field(default_factory=dict)
    on_ladder: list[Found | None] = field(default_factory=list)
    between: list[Found | None] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    cost: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})
    instructions: dict[str, tuple[float, float]] = field(default_factory=dict)

    def medians(self) -> dict[str, tuple[float, float]]:
        """Mbit/s up and down by contender."""
        return {
            name: (median(run.up for run in runs), median(run.down for run in runs))
            for name, runs in self.goodput.items()
        }


@dataclass(frozen=True)
class Goal:
    """`met` is None where nothing was measured."""

    words: str
    measured: str
    met: bool | None


def goals(results: Results) -> Iterator[Goal]:
    yield _found(
        f"on the ladder: full-size traffic within {NEAR:g} s of the handshake", results.on_ladder, "near", NEAR
    )
    yield _found(f"anywhere: within 4 bytes after {EXACT:g} s", results.on_ladder + results.between, "exact", EXACT)
    yield _budget([*results.on_ladder, *results.between])
    yield _change(results.changes)
    yield from _goodput(results.medians())
    yield _lossy(results.kept)
    yield _share(results.kept)
    yield _cost(results.cost)
    yield _instructions(results.instructions)


def _found(words: str, runs: list[Found | None], what: str, limit: float) -> Goal:
    if not runs:
        return Goal(words, "not measured", None)
    times = [getattr(run, what) if run else float("inf") for run in runs]
    said = f"median {median(times):.2f} s, worst {max(times):.2f} s of {len(times)}"
    return Goal(words, said, max(times) <= limit)


def _budget(runs: list[Found | None]) -> Goal:
    shares = [run.spent / run.size for run in runs if run]
    words = f"probes of a search: at most {BUDGET} times the size found"
    return (
        Goal(words, f"most {max(shares):.0f}", max(shares) <= BUDGET) if shares else Goal(words, "not measured", None)
    )


def _change(runs: list[Change]) -> Goal:
    words = f"after a fall in the middle of a flow: at half of its rate again within {AFTER_CHANGE:g} s"
    if not runs:
        return Goal(words, "not measured", None)
    times = [float("inf") if run.silent is None else run.silent for run in runs]
    return Goal(words, f"median {median(times):.2f} s, worst {max(times):.2f} s", max(times) <= AFTER_CHANGE)


def _goodput(medians: Mapping[str, tuple[float, float]]) -> Iterator[Goal]:
    for place, way in enumerate(("up", "down")):
        words = f"goodput {way}: at least {OF_HAND_TUNED:g} of what is tuned by hand"
        if not {"ours", "by hand"} <= medians.keys() or not medians["by hand"][place]:
            yield Goal(words, "not measured", None)
            continue
        ratio = medians["ours"][place] / medians["by hand"][place]
        yield Goal(words, f"{ratio:.3f}", ratio >= OF_HAND_TUNED)


def _lossy(runs: list[Kept]) -> Goal:
    words = f"5 % loss: never more than 4 bytes low for more than {LOW:g} s"
    worst = max((run.low for run in runs), default=None)
    return Goal(words, "not measured", None) if worst is None else Goal(words, f"{worst:.1f} s", worst <= LOW)


def _share(runs: list[Kept]) -> Goal:
    words = f"to keep it: {SHARE:.0%} of the peer's own traffic, nothing while idle"
    if not runs:
        return Goal(words, "not measured", None)
    share, idle = max(run.share for run in runs), max(run.idle for run in runs)
    return Goal(words, f"{share:.2%}, {idle} bytes", share <= SHARE and not idle)


def _cost(cost: Mapping[bool, list[float]]) -> Goal:
    words = f"throughput by processor time: at least {COST:g} of that without a search"
    if not cost[True] or not cost[False]:
        return Goal(words, "not measured", None)
    ratio = median(cost[True]) / median(cost[False])
    return Goal(words, f"{ratio:.3f}", ratio >= COST)


def _instructions(counted: Mapping[str, tuple[float, float]]) -> Goal:
    words = f"instructions for a lone packet: at most {SHARE:.0%} more than without a search"
    if not counted:
        return Goal(words, "not measured", None)
    said = ", ".join(f"{name} B {limited:.0f}/{free:.0f}" for name, (limited, free) in counted.items())
    return Goal(words, said, all(limited <= (1 + SHARE) * free for limited, free in counted.values()))


def text(results: Results) -> str:
    lines = [f"{'':14}{'Mbit/s up':>10}{'down':>8}{'longest up':>12}{'down':>6}{'usable after':>14}"]
    for name, runs in results.goodput.items():
        up, down = results.medians()[name]
        longest = max(run.longest_up for run in runs), max(run.longest_down for run in runs)
        lines.append(
            f"{name:14}{up:10.2f}{down:8.2f}{longest[0]:12}{longest[1]:6}{median(run.usable for run in runs):12.1f} s"
        )
    words = {True: "met   ", False: "MISSED", None: "-     "}
    return "\n".join([*lines, "", *(f"{words[goal.met]} {goal.words}: {goal.measured}" for goal in goals(results))])
