"""Puts a run into docs/performance.md: `python -m tests.bench.dataplane.document build/bench/dataplane.json`.

Its section stands between two marks and is never typed by hand; what is said around it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.bench.dataplane import chart, report, results
from tools import ROOT

PAGE = ROOT / "docs" / "performance.md"
BEGIN = "<!-- begin: written by tests.bench.dataplane.document -->"
END = "<!-- end: written by tests.bench.dataplane.document -->"


def with_section(page: str, section: str) -> str:
    """The page with what stands between the marks replaced, at its end where there are none. Raises ValueError."""
    marked = f"{BEGIN}\n{section.strip()}\n{END}"
    if BEGIN not in page and END not in page:
        return f"{page.rstrip()}\n\n{marked}\n"
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has only one of the two marks, or the last before the first")
    return before + marked + after


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dataplane.document", description=__doc__)
    parser.add_argument("json", type=Path, help="of a run")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    run = results.read(given.json)
    picture = given.page.with_name("dataplane.svg")
    picture.write_text(chart.svg(run))
    given.page.write_text(with_section(given.page.read_text(), report.markdown(run, chart=picture.name)))


if __name__ == "__main__":
    main()
