"""What a path with a smaller MTU costs: `make bench-path`.

[a] 192.0.2.1 ---- MTU 1500 or 1300 ---- 192.0.2.2 [b], a tunnel with the default MTU of 1420 between them

Rounds change the cable's MTU to and fro under the same two nodes, and medians are compared of what a TCP flow moves per
second of both nodes' own processor time, which hardly depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.flood import processor_seconds, stream
from tests.lab import programs
from tests.lab.scenarios.world import Device, World, ping

WHOLE, SMALLER = MTUS = (1500, 1300)
CHOICES = (*(f"ours-{plane}" for plane in programs.PLANES), *programs.OTHERS)
GOAL = 0.9
"""Of the throughput by processor second over the whole path, which is to be left."""


@dataclass
class Results:
    """By the cable's MTU, one figure a round: Mbit/s of TCP payload, and Mbit by second of both nodes' time."""

    throughput: dict[int, list[float]] = field(default_factory=lambda: {mtu: [] for mtu in MTUS})
    per_processor: dict[int, list[float]] = field(default_factory=lambda: {mtu: [] for mtu in MTUS})

    def left(self) -> float:
        return statistics.median(self.per_processor[SMALLER]) / statistics.median(self.per_processor[WHOLE])


def pair(world: World) -> tuple[Device, Device, str]:
    """Two nodes that a cable joins, and the cable's name at both ends."""
    a, b = world.space("a"), world.space("b")
    cable = world.cable(a, b, ["192.0.2.1/24"], ["192.0.2.2/24"])
    one, two = world.all_devices([(a, ["10.9.0.1/24"]), (b, ["10.9.0.2/24"])])
    two.peer(one, "10.9.0.1/32")
    one.peer(two, "10.9.0.2/32", "192.0.2.2:51820")
    assert ping(one.space, "10.9.0.2")
    return one, two, cable


def measure(one: Device, two: Device, seconds: float) -> tuple[float, float]:
    """Mbit/s, and Mbit by second of both nodes' processor time."""
    with stream(one.space, two.space, "10.9.0.2") as arrived:
        time.sleep(0.5)  # of slow start
        nodes = one.process.pid, two.process.pid
        begin, busy, count = time.monotonic(), sum(map(processor_seconds, nodes)), arrived[0]
        time.sleep(seconds)
        megabits = (arrived[0] - count) * 8e-6
        spent = sum(map(processor_seconds, nodes)) - busy
        return megabits / (time.monotonic() - begin), megabits / max(0.01, spent)


def run(world: World, rounds: int, seconds: float) -> Results:
    one, two, cable = pair(world)
    results = Results()
    for number in range(rounds):
        for mtu in MTUS if number % 2 == 0 else reversed(MTUS):
            for device in (one, two):
                device.space.run("ip", "link", "set", cable, "mtu", str(mtu))
            throughput, per_processor = measure(one, two, seconds)
            results.throughput[mtu].append(throughput)
            results.per_processor[mtu].append(per_processor)
        done = ", ".join(f"MTU {mtu}: {figures[-1]:.0f}" for mtu, figures in results.per_processor.items())
        print(f"round {number + 1} of {rounds}: {done} Mbit by processor second", file=sys.stderr, flush=True)
    return results


def report(results: Results) -> str:
    lines = [
        f"MTU {mtu}: {statistics.median(results.throughput[mtu]):6.0f} Mbit/s, "
        f"{statistics.median(results.per_processor[mtu]):6.0f} Mbit by second of both nodes' processor time"
        for mtu in MTUS
    ]
    return "\n".join([*lines, f"left over the smaller path: {results.left():.2f} by processor time; goal {GOAL}"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.path", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of one measurement")
    parser.add_argument("--program", default="ours-fast", choices=CHOICES)
    parser.add_argument("--json", type=Path, help="a file to write the figures to")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the benchmark builds networks and needs root: make bench-path does that")
    with tempfile.TemporaryDirectory(prefix="wgnode-path-") as directory:
        world = World(Path(directory), programs.named(arguments.program))
        try:
            results = run(world, arguments.rounds, arguments.seconds)
        finally:
            world.close()
    print(report(results))
    if arguments.json:
        told = {"mbit_per_s": results.throughput, "mbit_per_processor_s": results.per_processor, "left": results.left()}
        arguments.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
