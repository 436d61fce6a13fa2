"""What a packet that comes alone costs two plain nodes, from TUN to TUN, in microseconds of the processor.

python -m tests.bench.lone [--against DIRECTORY] [--rounds 7]

DIRECTORY is another checkout: the same is measured there in turns, as only the ratio means anything on a machine that
does other things too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

PACKETS = 2000
HERE = Path(__file__).resolve()


def measure() -> float:
    """Of the packets of one checkout: PYTHONPATH says which."""
    from tests.unit.io.test_shell import Pair, packet

    pair, best = Pair(), float("inf")
    ways = [
        (pair.tuns[a].far, pair.tuns[b].far, packet(a, b, bytes(80)))
        for a, b in ((1, 2), (2, 1))
        for _ in range(PACKETS)
    ]
    for _ in range(4):  # the first time there is no session yet
        begin = time.thread_time()
        for source, target, content in ways:
            source.send(content)
            arrived = False
            while not arrived:
                pair.loop.run_once(0)
                try:
                    arrived = bool(target.recv(2048))
                except BlockingIOError:
                    continue
        best = min(best, time.thread_time() - begin)
    pair.close()
    return best / len(ways) * 1e6


def of(checkout: Path) -> float:
    told = subprocess.run(
        [sys.executable, HERE, "--measure"],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        cwd=checkout,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(told.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.lone", description=__doc__)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        return print(measure())
    checkouts = [HERE.parents[2], *([given.against.resolve()] if given.against else [])]
    rounds = [[of(checkout) for checkout in checkouts] for _ in range(given.rounds)]
    for checkout, figures in zip(checkouts, zip(*rounds, strict=True), strict=True):
        print(f"{checkout}: {statistics.median(figures):.1f} µs a packet, median of {given.rounds} rounds")
    if given.against:
        print(f"ratio: {statistics.median(here / there for here, there in rounds):.2f}")


if __name__ == "__main__":
    main()
