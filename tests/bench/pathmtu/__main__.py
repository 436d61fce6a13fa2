"""What finding path MTUs does, beside what people do without: `make bench-pathmtu`.

A path of 50 ms there and back carries 1,280 bytes up and 1,440 down, says nothing, and loses pieces. Rounds interleave
ours, the same node tuned by hand, lowered once to the smaller of both ways (as Mullvad's client does), and fixed at
1,280 and 1,420; beside them how soon a size is found, what a fall in the middle of a flow costs, 5 % of loss, and what
the search costs where there is nothing to find, and goodput over 1,500 bytes with an MTU that nobody has set.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from tests.bench.pathmtu import chart, instructions, report, runs
from tests.bench.pathmtu.contenders import CONTENDERS
from tests.bench.pathmtu.report import Results
from wgnode.pathmtu.ladder import RUNGS

FLOORS = 1280, 1440
WIDE = 1500, 1500
BETWEEN = 1293, 1371, 1467
LADDER = [rung for rung in RUNGS if 1280 <= rung <= 1500]
PARTS = ("goodput", "converge", "change", "loss", "cost", "instructions")


def run(rounds: int, seconds: float, minutes: float, plane: str, parts: set[str]) -> Results:
    results = Results()
    for number in range(rounds):
        if "goodput" in parts:
            for contender in CONTENDERS if number % 2 == 0 else CONTENDERS[::-1]:
                results.goodput.setdefault(contender.name, []).append(runs.goodput(contender, plane, FLOORS, seconds))
            for contender in CONTENDERS[:2]:
                results.wide.setdefault(contender.name, []).append(runs.goodput(contender, plane, WIDE, seconds))
        if "converge" in parts:
            rung, between = LADDER[number * 5 % len(LADDER)], BETWEEN[number % len(BETWEEN)]
            results.on_ladder.append(runs.converge(plane, rung, rung))
            results.between.append(runs.converge(plane, between, max(each for each in LADDER if each <= between)))
        if "change" in parts:
            results.changes.append(runs.change(plane, 1440, (1340, 1400, 1280)[number % 3]))
        if "cost" in parts:
            for searches in (True, False) if number % 2 == 0 else (False, True):
                results.cost[searches].append(runs.cost(plane, searches=searches, seconds=seconds))
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    if "instructions" in parts:
        results.instructions = instructions.measure()
    if "loss" in parts:
        results.kept.append(runs.kept(plane, 1440, 60 * minutes))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pathmtu", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of one measurement of throughput")
    parser.add_argument("--minutes", type=float, default=10.0, help="of loss")
    parser.add_argument("--plane", default="fast", choices=("fast", "python"))
    parser.add_argument("--parts", default=",".join(PARTS), help="what is measured (%(default)s)")
    parser.add_argument("--json", type=Path, help="a file to write the figures to")
    parser.add_argument("--svg", type=Path, help="a file to draw the goodput to")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts.split(",")) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if os.geteuid() != 0:
        sys.exit("the benchmark builds networks and needs root: make bench-pathmtu does that")
    results = run(
        arguments.rounds, arguments.seconds, arguments.minutes, arguments.plane, set(arguments.parts.split(","))
    )
    print(report.text(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(results), indent=1) + "\n")
    if arguments.svg and results.goodput:
        up, down = FLOORS
        title = f"TCP over a path of {up:,} bytes up and {down:,} down, 50 ms, Mbit/s"
        arguments.svg.write_text(chart.svg(results.medians(), title))


if __name__ == "__main__":
    main()
