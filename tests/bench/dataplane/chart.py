"""A run as a picture: one panel of bars for each measurement, ours in colour. SVG, readable on light and dark pages.

Written by hand: bars and labels are all there is to it, and a plotting library would be this project's largest part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from tests.bench.dataplane.figures import figure, resident
from tests.bench.dataplane.implementations import CABLE, REFERENCE
from tests.bench.dataplane.measurements import MEASUREMENTS
from tests.bench.dataplane.report import number
from tests.bench.dataplane.results import Results

COLUMNS = 2
PANEL, GAP, ROW, BAR = 430, 30, 19, 13
"""Pixels: a panel's width, the space between two, a row's height, a bar's height."""
LABEL, VALUE = 128, 104
"""Pixels for an implementation's name before its bar, and for its figure after it."""
HEADING = 44
BOUNDS = (CABLE, "fast-null")
"""Not competitors but limits: shown hollow, and cut off where they'd make the others' bars short."""
STYLE = """
.page { fill: #ffffff } text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 13px } .faint { fill: #59636e }
.ours { fill: #0969da } .other { fill: #8c959f } .bound { fill: none; stroke: #8c959f; stroke-dasharray: 3 2 }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117 } text { fill: #e6edf3 } .faint { fill: #9198a1 }
  .ours { fill: #4493f8 } .other { fill: #6e7681 } .bound { stroke: #6e7681 }
}"""


@dataclass(frozen=True)
class Bar:
    """An implementation's median, and its ratio to the reference."""

    name: str
    value: float
    ratio: float | None


@dataclass(frozen=True)
class Panel:
    title: str
    more_is_better: bool
    bars: Sequence[Bar]

    @property
    def height(self) -> int:
        return HEADING + ROW * len(self.bars)

    @property
    def scale(self) -> float:
        """The value of a whole bar: the largest of those that compete."""
        competing = [bar.value for bar in self.bars if bar.name not in BOUNDS]
        return max(competing or [bar.value for bar in self.bars]) or 1.0


def panels(results: Results) -> list[Panel]:
    found = []
    for test, measurement in MEASUREMENTS.items():
        more = not test.startswith("ping")
        found.append(Panel(f"{measurement.title}, {measurement.unit}", more, _bars(results, test, "value")))
    found.append(Panel("processor seconds of both ends per GB, one flow", False, _bars(results, "tcp", "per_gigabyte")))
    memory = [(name, resident(results, name)) for name in results.implementations()]
    found.append(Panel("memory of the larger end, MB", False, [Bar(n, mb, None) for n, mb in memory if mb is not None]))
    return [panel for panel in found if panel.bars]


def _bars(results: Results, test: str, name: str) -> list[Bar]:
    found = [(each, figure(results, each, test, name)) for each in results.implementations()]
    return [Bar(each, measured.median, measured.ratio) for each, measured in found if measured is not None]


def svg(results: Results) -> str:
    rows = [panels(results)[start : start + COLUMNS] for start in range(0, len(panels(results)), COLUMNS)]
    width = GAP + COLUMNS * (PANEL + GAP)
    height = GAP + sum(max(panel.height for panel in row) + GAP for row in rows)
    body = "\n".join(_placed(rows))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="Medians of each implementation">\n<style>{STYLE}\n</style>\n'
        f'<rect class="page" width="{width}" height="{height}" rx="6"/>\n{body}\n</svg>\n'
    )


def _placed(rows: Sequence[Sequence[Panel]]) -> Iterator[str]:
    top = GAP
    for row in rows:
        for column, panel in enumerate(row):
            yield f'<g transform="translate({GAP + column * (PANEL + GAP)} {top})">'
            yield from _drawn(panel)
            yield "</g>"
        top += max(panel.height for panel in row) + GAP


def _drawn(panel: Panel) -> Iterator[str]:
    yield f'<text class="title" y="12">{escape(panel.title)}</text>'
    yield f'<text class="faint" y="29">{"more" if panel.more_is_better else "less"} is better</text>'
    for place, bar in enumerate(panel.bars):
        yield from _bar(bar, panel.scale, HEADING + place * ROW)


def _bar(bar: Bar, scale: float, top: int) -> Iterator[str]:
    whole = PANEL - LABEL - VALUE
    length = max(1.0, whole * min(1.0, bar.value / scale))
    kind = "bound" if bar.name in BOUNDS else "ours" if bar.name.startswith(("python", "fast")) else "other"
    beyond = " →" if bar.value > scale else ""
    ratio = "" if bar.ratio is None or bar.name == REFERENCE else f" (×{number(bar.ratio)})"
    middle = top + BAR - 2
    yield f'<text x="{LABEL - 8}" y="{middle}" text-anchor="end">{escape(bar.name)}</text>'
    yield f'<rect class="{kind}" x="{LABEL}" y="{top}" width="{length:.1f}" height="{BAR}" rx="2"/>'
    yield f'<text x="{LABEL + length + 6:.1f}" y="{middle}">{number(bar.value)}{ratio}{beyond}</text>'
