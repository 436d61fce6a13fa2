"""Goodput each way by contender as an SVG, in the style of the data plane's chart; no plotting library is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from xml.sax.saxutils import escape

from tests.bench.dataplane.chart import STYLE

LABEL, BARS, VALUE, ROW, BAR, GAP = 120, 320, 90, 42, 15, 24


def svg(medians: Mapping[str, tuple[float, float]], title: str) -> str:
    """`medians` are Mbit/s up and down."""
    width, height = LABEL + BARS + VALUE + 2 * GAP, 2 * GAP + 20 + ROW * len(medians)
    scale = max((rate for both in medians.values() for rate in both), default=1.0) or 1.0
    rows = "\n".join(line for number, row in enumerate(medians.items()) for line in _row(number, *row, scale))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(title)}">\n<style>{STYLE}\n</style>\n'
        f'<rect class="page" width="{width}" height="{height}" rx="6"/>\n'
        f'<text class="title" x="{GAP}" y="{GAP + 4}">{escape(title)}</text>\n{rows}\n</svg>\n'
    )


def _row(number: int, name: str, both: tuple[float, float], scale: float) -> Iterator[str]:
    top = GAP + 20 + ROW * number
    kind = "ours" if name == "ours" else "other"
    yield f'<text x="{GAP + LABEL - 8}" y="{top + 20}" text-anchor="end">{escape(name)}</text>'
    for place, (way, rate) in enumerate(zip(("up", "down"), both, strict=True)):
        at, length = top + place * (BAR + 2), max(1.0, BARS * rate / scale)
        yield f'<rect class="{kind}" x="{GAP + LABEL}" y="{at}" width="{length:.1f}" height="{BAR}" rx="2"/>'
        yield f'<text x="{GAP + LABEL + length + 6:.1f}" y="{at + BAR - 3}">{rate:.1f} {way}</text>'
