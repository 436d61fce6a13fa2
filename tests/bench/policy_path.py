"""What judging by an access policy costs a node with all its system calls: `python -m tests.bench.policy_path`.

Two nodes in two namespaces, as tests/bench/dataplane has them; what A sends and gets is judged at B, or is not. One
process is told to do the one and the other in turn (the file of `--policy` is read anew), so that a noisy machine is
noisy to both. Processor seconds of B a gigabyte of one TCP flow, and its throughput, each way.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.dataplane import implementations, pair
from tests.bench.dataplane.measurements import MEASUREMENTS
from tests.bench.dataplane.pair import Pair
from tests.lab.interop import Node
from tests.lab.programs import Program
from wgnode.io.told_socket import DIRECTORY, POLICY
from wgnode.policy.model import Class, Policy, Rule
from wgnode.policy.written import written

ALLOWED = Policy((Class(), Class((Rule("lan", ("10.9.0.0/24",)),), (Rule("lan", ("10.9.0.0/24",)),))))
WAYS = ("tcp", "tcp-reverse")
GOAL = 1.05
"""Times the processor time that judging may take."""


@dataclass(frozen=True)
class Measured:
    """Processor seconds of B a gigabyte, and Gbit/s."""

    processor: float
    gigabits: float


def running(plane: str, folder: Path) -> tuple[Program, Program]:
    file = folder / "policy.json"
    file.write_text(json.dumps({"policy": written(ALLOWED), "peers": {}}))
    (fast, judging) = (one for name in ("fast", plane) for one in (implementations.programs(name) or ())[:1])
    command = lambda interface: [*judging.command(interface), "--policy", str(file)]  # noqa: E731
    return fast, Program("ours", command, ours=True, environment=judging.environment)


def judge(nodes: Sequence[Node], folder: Path, number: int | None) -> None:
    """What is A's at B, by that class, or nothing."""
    peers = {} if number is None else {nodes[0].public_key: number}
    (folder / "policy.json").write_text(json.dumps({"policy": written(ALLOWED), "peers": peers}))
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(str(DIRECTORY / f"{nodes[1].interface}.sock"))
        asked.sendall(f"{POLICY}\n".encode())
        told = json.loads(asked.makefile().readline())
    assert told == {"peers": len(peers)}, told


def rounds(it: Pair, folder: Path, count: int, seconds: int) -> Iterator[tuple[str, bool, Measured]]:
    nodes = [node for node in it.nodes if isinstance(node, Node)]
    for number in range(count):
        for way in WAYS:
            for judged in (number % 2 == 0, number % 2 == 1):
                judge(nodes, folder, 1 if judged else None)
                before = it.processor()[1]
                reading = MEASUREMENTS[way].run(it, seconds)
                used = it.processor()[1] - before
                yield way, judged, Measured(used / reading.more["gigabytes"], reading.value)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6, help="(%(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement (%(default)s)")
    options = parser.parse_args(arguments)
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the beginning\n")
    print("| plane of B | flow | CPU s/GB without | with | times | Gbit/s without | with | times |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for plane in ("python", "fast"):
        found: dict[tuple[str, bool], list[Measured]] = defaultdict(list)
        with tempfile.TemporaryDirectory(prefix="wgnode-bench-") as name:
            folder = Path(name)
            with pair.running(running(plane, folder), 4, 4, folder) as it:
                for way, judged, one in rounds(it, folder, options.rounds, options.seconds):
                    found[way, judged].append(one)
        for way in WAYS:
            print(row(plane, way, found[way, False], found[way, True]), flush=True)
    print(f"\naimed at: {GOAL:g} times the processor time; load {os.getloadavg()[0]:.1f} at the end")
    return 0


def row(plane: str, way: str, without: Sequence[Measured], judged: Sequence[Measured]) -> str:
    cells = [plane, MEASUREMENTS[way].title]
    for name in ("processor", "gigabits"):
        before, now = (statistics.median(getattr(one, name) for one in each) for each in (without, judged))
        cells += [f"{before:.2f}", f"{now:.2f}", f"{now / before:.3f}"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
