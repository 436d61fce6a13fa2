"""`make bench-dataplane`: measures, and writes Markdown, JSON and a chart."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import tests.bench.dataplane as package
from tests.bench.dataplane import chart, gateways, implementations, machine, report, rounds
from tests.bench.dataplane.measurements import MEASUREMENTS
from tests.bench.dataplane.results import Results
from tools import ROOT
from tools.progress import say

OUTPUT = ROOT / "build" / "bench"
TESTS = (*MEASUREMENTS, gateways.TEST)
EPILOG = f"""implementations: {", ".join(implementations.NAMES)}; A+B puts A at one end and B at the other
tests: {", ".join(MEASUREMENTS)};
    {gateways.TEST}: a client of one gateway to a client of another, which are processes ({gateways.PROCESS}) or guests
    under QEMU ({gateways.MICROVM}), on both of {", ".join(gateways.PLANES)}; left out where one of these takes no part

examples:
  make bench-dataplane
  make bench-dataplane ROUNDS=1 IMPLEMENTATIONS=wireguard-go,python TESTS=tcp,ping-idle
  python -m tests.bench.dataplane --implementations wireguard-go,fast+wireguard-go --inner 6 --outer 6
  make bench-dataplane IMPLEMENTATIONS=wireguard-go,fast-1,fast-2 TESTS=tcp,tcp8,bidir
  python -m tests.bench.dataplane --tests gateways --gateways process --rounds 1
  python -m tests.bench.dataplane.document build/bench/dataplane.json     into docs/performance.md
"""


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.dataplane",
        description=package.__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=_positive, default=3, metavar="N", help="of all implementations; default 3")
    parser.add_argument("--seconds", type=_positive, default=3, metavar="S", help="of one measurement; default 3")
    parser.add_argument(
        "--implementations",
        type=_names(implementations.check),
        default=list(implementations.DEFAULT),
        metavar="NAME,...",
    )
    parser.add_argument("--tests", type=_names(_one_of(TESTS)), default=list(TESTS), metavar="NAME,...")
    parser.add_argument(
        "--gateways",
        type=_names(_one_of(gateways.PATHS)),
        default=list(gateways.PATHS),
        metavar="HOW,...",
        help=f"how gateways run; default {','.join(gateways.PATHS)}",
    )
    parser.add_argument("--inner", type=int, choices=(4, 6), default=4, help="address family inside the tunnel")
    parser.add_argument("--outer", type=int, choices=(4, 6), default=4, help="address family of the tunnel's datagrams")
    parser.add_argument(
        "--patience", type=float, default=8, metavar="S", help="for the machine to calm down; default 8"
    )
    parser.add_argument("--build-only", action="store_true", help="build what is missing and end; needs no root")
    for kind in ("json", "markdown", "svg"):
        suffix = "md" if kind == "markdown" else kind
        default = OUTPUT / f"dataplane.{suffix}"
        parser.add_argument(f"--{kind}", type=Path, default=default, metavar="FILE", help=f"default {_short(default)}")
    return parser.parse_args(words)


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def _names(check: Callable[[str], str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        try:
            return [check(name) for name in text.split(",")]
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def _one_of(names: Sequence[str]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"no {name!r}; choose of {', '.join(names)}")
        return name

    return check


def _short(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def end_on_signals() -> None:
    """The first signal ends the run as an exit does; more of them don't keep it from removing what it made."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def leave(number: int, _frame: object) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    for each in signals:
        signal.signal(each, leave)


def write(results: Results, given: argparse.Namespace) -> None:
    results.write(given.json)
    for file, text in (
        (given.svg, chart.svg(results)),
        (given.markdown, report.markdown(results, chart=given.svg.name)),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    say(f"written: {', '.join(str(_short(file)) for file in (given.markdown, given.json, given.svg))}")


def main() -> None:
    given = arguments()
    end_on_signals()
    settings = rounds.Settings(
        given.implementations,
        given.tests,
        given.rounds,
        given.seconds,
        given.inner,
        given.outer,
        given.patience,
        given.gateways,
    )
    if given.build_only:
        rounds.build_all(settings, Results({}, {}), say)
        return
    if os.geteuid() != 0:
        sys.exit("the benchmark builds networks and needs root: make bench-dataplane does that")
    results = Results({}, machine.describe())
    try:
        with tempfile.TemporaryDirectory(prefix="wgnode-bench-") as directory:
            rounds.run(settings, results, Path(directory), say)
    finally:
        if results.samples or results.gateways:
            write(results, given)
    print(report.markdown(results), end="")


if __name__ == "__main__":
    main()
