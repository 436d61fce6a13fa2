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
    wide: dict[str, list[Goodput]] = field(default_factory=dict)
    """Over a path of 1,500 bytes each way."""
    on_ladder: list[Found | None] = field(default_factory=list)
    between: list[Found | None] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    cost: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})
    instructions: dict[str, tuple[float, float]] = field(default_factory=dict)

    def medians(self) -> dict[str, tuple[float, float]]:
        """Mbit/s up and down by contender."""
        return medians(self.goodput)


def medians(goodput: Mapping[str, list[Goodput]]) -> dict[str, tuple[float, float]]:
    return {name: (median(run.up for run in runs), median(run.down for run in runs)) for name, runs in goodput.items()}


@dataclass(frozen=True)
class Goal:
    """`met` is None where nothing was measured."""

    words: str
    wanted: str
    found: str
    met: bool | None


def missing(words: str, wanted: str) -> Goal:
    return Goal(words, wanted, "not measured", None)


def goals(results: Results) -> Iterator[Goal]:
    yield _found("full-size traffic after the handshake, on the ladder", results.on_ladder, "near", NEAR)
    yield _found("within 4 bytes, anywhere", results.on_ladder + results.between, "exact", EXACT)
    yield _budget([*results.on_ladder, *results.between])
    yield _change(results.changes)
    yield from _goodput("", results.medians())
    yield from _goodput(" over 1,500 bytes", medians(results.wide))
    yield _lossy(results.kept)
    yield _share(results.kept)
    yield _cost(results.cost)
    yield _instructions(results.instructions)


def _found(words: str, runs: list[Found | None], what: str, limit: float) -> Goal:
    wanted = f"{limit:g} s"
    if not runs:
        return missing(words, wanted)
    times = [getattr(run, what) if run else float("inf") for run in runs]
    said = f"median {median(times):.2f}, worst {max(times):.2f} s of {len(times)}"
    return Goal(words, wanted, said, max(times) <= limit)


def _budget(runs: list[Found | None]) -> Goal:
    shares = [run.spent / run.size for run in runs if run]
    words, wanted = "probes of a search, by the size found", f"at most {BUDGET}"
    return Goal(words, wanted, f"most {max(shares):.1f}", max(shares) <= BUDGET) if shares else missing(words, wanted)


def _change(runs: list[Change]) -> Goal:
    words, wanted = "half of a flow's rate again after a fall in its middle", f"{AFTER_CHANGE:g} s"
    if not runs:
        return missing(words, wanted)
    times = [float("inf") if run.silent is None else run.silent for run in runs]
    said = f"median {median(times):.2f}, worst {max(times):.2f} s of {len(times)}"
    return Goal(words, wanted, said, max(times) <= AFTER_CHANGE)


def _goodput(where: str, medians: Mapping[str, tuple[float, float]]) -> Iterator[Goal]:
    for place, way in enumerate(("up", "down")):
        words, wanted = f"goodput {way}{where}, of what is tuned by hand", f"at least {OF_HAND_TUNED:g}"
        if not {"ours", "by hand"} <= medians.keys() or not medians["by hand"][place]:
            yield missing(words, wanted)
            continue
        ratio = medians["ours"][place] / medians["by hand"][place]
        yield Goal(words, wanted, f"{ratio:.3f}", ratio >= OF_HAND_TUNED)


def _lossy(runs: list[Kept]) -> Goal:
    words, wanted = "5 % loss: longest time more than 4 bytes low", f"{LOW:g} s"
    worst = max((run.low for run in runs), default=None)
    return missing(words, wanted) if worst is None else Goal(words, wanted, f"{worst:.1f} s", worst <= LOW)


def _share(runs: list[Kept]) -> Goal:
    words, wanted = "to keep it, of the peer's own traffic; while idle", f"{SHARE:.0%}; 0 bytes"
    if not runs:
        return missing(words, wanted)
    share, idle = max(run.share for run in runs), max(run.idle for run in runs)
    return Goal(words, wanted, f"{share:.2%}; {idle} bytes", share <= SHARE and not idle)


def _cost(cost: Mapping[bool, list[float]]) -> Goal:
    words, wanted = "throughput by processor time, of that without a search", f"at least {COST:g}"
    if not cost[True] or not cost[False]:
        return missing(words, wanted)
    ratio = median(cost[True]) / median(cost[False])
    return Goal(words, wanted, f"{ratio:.3f}", ratio >= COST)


def _instructions(counted: Mapping[str, tuple[float, float]]) -> Goal:
    words, wanted = "instructions for a lone packet, of those without a search", f"at most {1 + SHARE:g}"
    if not counted:
        return missing(words, wanted)
    said = ", ".join(f"{name} B {limited / free:.4f}" for name, (limited, free) in counted.items())
    return Goal(words, wanted, said, all(limited <= (1 + SHARE) * free for limited, free in counted.values()))


def text(results: Results) -> str:
    lines = [f"{'':14}{'Mbit/s up':>10}{'down':>8}{'longest up':>12}{'down':>6}{'usable after':>14}"]
    for name, runs in results.goodput.items():
        up, down = results.medians()[name]
        longest = max(run.longest_up for run in runs), max(run.longest_down for run in runs)
        lines.append(
            f"{name:14}{up:10.2f}{down:8.2f}{longest[0]:12}{longest[1]:6}{median(run.usable for run in runs):12.1f} s"
        )
    return "\n".join([*lines, "", *_table(list(goals(results)))])


def _table(rows: list[Goal]) -> Iterator[str]:
    met = {True: "met", False: "MISSED", None: "-"}
    cells = [("goal", "wanted", "found", "met"), *((row.words, row.wanted, row.found, met[row.met]) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
