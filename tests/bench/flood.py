"""What a flood costs an established session: `make bench-flood`.

A TCP stream through the tunnel of two nodes, for some seconds at a time: quiet; with a sender beside that floods a
port nobody listens on (it takes the same processor time from everybody); with the flood of initiations on the node.
Rounds interleave the three, and medians are compared, because the machine has other things to do. What the node
carries per second of its own processor time hardly depends on those.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import programs
from tests.lab.interop import Namespace
from tests.lab.scenarios import flood
from tests.lab.scenarios.world import PORT, Device, World, ping

QUIET, BESIDE, FLOOD = "quiet", "sender beside", "flooded"
CLOSED_PORT = 9
GOAL = 0.8
"""Of the throughput with the sender beside, which is to be left."""


@dataclass
class Results:
    """Throughput by case in Mbit/s of TCP payload, one figure a round; resident memory of the flooded node in KiB.

    `per_processor` is Mbit by second of the flooded node's processor time.
    """

    rate: int
    seconds: float
    throughput: dict[str, list[float]] = field(default_factory=lambda: {QUIET: [], BESIDE: [], FLOOD: []})
    per_processor: dict[str, list[float]] = field(default_factory=lambda: {QUIET: [], BESIDE: [], FLOOD: []})
    sent: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    resident_before: int = 0
    resident_after: int = 0

    def median(self, case: str) -> float:
        return statistics.median(self.throughput[case])

    def median_per_processor(self, case: str) -> float:
        return statistics.median(self.per_processor[case])

    def as_json(self) -> dict[str, object]:
        return {
            "rate": self.rate,
            "seconds": self.seconds,
            "mbit_per_s": self.throughput,
            "mbit_per_processor_s": self.per_processor,
            "flooded_to_beside": self.median(FLOOD) / self.median(BESIDE),
            "flooded_to_quiet": self.median(FLOOD) / self.median(QUIET),
            "initiations_sent": self.sent,
            "answers_by_length": {str(length): number for length, number in self.answers.items()},
            "resident_kib": [self.resident_before, self.resident_after],
        }


@contextmanager
def stream(source: Namespace, sink: Namespace, address: str) -> Iterator[list[int]]:
    """Bytes that have arrived so far, in a list of one, while TCP sends as fast as it goes."""
    listener = sink.call(lambda: socket.create_server((address, 0)))
    arrived = [0]
    sender = source.call(lambda: socket.create_connection(listener.getsockname(), 30))
    receiver, _ = listener.accept()
    sender.settimeout(0.2)
    done = threading.Event()

    def send() -> None:
        piece = bytes(1 << 16)
        while not done.is_set():
            try:
                sender.send(piece)
            except TimeoutError:
                continue

    def receive() -> None:
        while piece := receiver.recv(1 << 18):
            arrived[0] += len(piece)

    threads = [threading.Thread(target=work, daemon=True) for work in (send, receive)]
    for thread in threads:
        thread.start()
    try:
        yield arrived
    finally:
        done.set()
        threads[0].join(5)
        sender.close()
        threads[1].join(30)
        receiver.close()
        listener.close()


def measure(arrived: list[int], seconds: float, pid: int) -> tuple[float, float]:
    """Mbit/s, and Mbit by second of the process's own time."""
    begin, busy, count = time.monotonic(), processor_seconds(pid), arrived[0]
    time.sleep(seconds)
    megabits = (arrived[0] - count) * 8e-6
    return megabits / (time.monotonic() - begin), megabits / max(0.01, processor_seconds(pid) - busy)


def processor_seconds(pid: int) -> float:
    """User and system time that a process has used."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def run_case(case: str, one: Device, two: Device, source: Namespace, messages: Path, results: Results) -> None:
    warm_up = 1.0
    with stream(one.space, two.space, "10.9.0.2") as arrived:
        sender = None
        if case != QUIET:
            port = PORT if case == FLOOD else CLOSED_PORT
            sender = flood.start(source, messages, rate=results.rate, seconds=results.seconds + 2 * warm_up, port=port)
        time.sleep(warm_up)
        throughput, per_processor = measure(arrived, results.seconds, two.process.pid)
        results.throughput[case].append(throughput)
        results.per_processor[case].append(per_processor)
        if sender is not None:
            sent = sender.finish()
            if case == FLOOD:
                results.sent += sent
                results.answers += sender.answers


def run(world: World, rounds: int, rate: int, seconds: float) -> Results:
    one, two, source = flood.arena(world)
    messages = world.directory / "messages"
    flood.write_messages(messages, two)
    assert ping(one.space, "10.9.0.2")
    results = Results(rate, seconds)
    results.resident_before = flood.resident(two.process.pid)
    for number in range(rounds):
        for case in (QUIET, BESIDE, FLOOD):
            run_case(case, one, two, source, messages, results)
        done = ", ".join(f"{case} {figures[-1]:.0f}" for case, figures in results.throughput.items())
        print(f"round {number + 1} of {rounds}: {done} Mbit/s", file=sys.stderr, flush=True)
    results.resident_after = flood.resident(two.process.pid)
    return results


def report(results: Results) -> str:
    lines = [
        f"{case:14} {results.median(case):6.0f} Mbit/s, "
        f"{results.median_per_processor(case):6.0f} Mbit by second of the node's processor time"
        for case in results.throughput
    ]
    spent = results.median_per_processor(FLOOD) / results.median_per_processor(BESIDE)
    left = results.median(FLOOD) / results.median(BESIDE)
    runs = len(results.throughput[FLOOD])
    achieved = results.sent / runs / (results.seconds + 2)
    lines += [
        f"left under the flood: {left:.2f} of what there is beside the same sender "
        f"({results.median(FLOOD) / results.median(QUIET):.2f} of quiet), {spent:.2f} by processor time; goal {GOAL}",
        f"{results.sent} initiations in {runs} runs, {achieved:.0f} a second; "
        f"answers by length: {dict(results.answers) or 'none'} ({flood.COOKIE_REPLY} bytes are a cookie)",
        f"resident memory of the node: {results.resident_before} KiB before, {results.resident_after} KiB after",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.flood", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=5000, help="initiations a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="of one measurement")
    parser.add_argument("--program", default="ours", choices=["ours", *programs.OTHERS])
    parser.add_argument("--json", type=Path, help="a file to write the figures to")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the benchmark builds networks and needs root: make bench-flood does that")
    with tempfile.TemporaryDirectory(prefix="wgnode-flood-") as directory:
        world = World(Path(directory), programs.named(arguments.program))
        try:
            results = run(world, arguments.rounds, arguments.rate, arguments.seconds)
        finally:
            world.close()
    print(report(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results.as_json(), indent=1) + "\n")


if __name__ == "__main__":
    main()
