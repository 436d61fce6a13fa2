"""A steady stream of pings: what a change in the middle of it has cost."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from lab.errors import LabError

INTERVAL = 0.05
"""Seconds between pings."""
_ANSWER = re.compile(r"^\[(\d+\.\d+)\] .*icmp_seq=(\d+) ", re.MULTILINE)


@dataclass
class Stream:
    """Filled in once the stream has ended. `answers` are (time in seconds since 1970, sequence number)."""

    answers: list[tuple[float, int]] = field(default_factory=list)
    interval: float = INTERVAL

    @property
    def received(self) -> int:
        return len({number for _, number in self.answers})

    @property
    def lost(self) -> int:
        """Pings without an answer, before the last one that has one."""
        return max((number for _, number in self.answers), default=0) - self.received

    @property
    def longest_gap(self) -> float:
        """Seconds between two answers, or before the first: how long nothing came through, to within the interval."""
        times = sorted(at for at, _ in self.answers)
        before = (min((number for _, number in self.answers), default=1) - 1) * self.interval
        return max([before, *(later - earlier for earlier, later in pairwise(times))])


@contextmanager
def stream(argv_prefix: Sequence[str], address: str, interval: float = INTERVAL) -> Iterator[Stream]:
    """Ping `address` all the while that the block runs, and for a few pings more."""
    argv = [*argv_prefix, "ping", "-n", "-D", "-i", f"{interval:g}", address]
    made = Stream(interval=interval)
    with tempfile.TemporaryFile("w+") as output:  # a pipe that nobody reads would be full, and stop it, after 770 pings
        process = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield made
            time.sleep(4 * interval)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=10)
        output.seek(0)
        said = output.read()
        made.answers += [(float(at), int(number)) for at, number in _ANSWER.findall(said)]
    if "bytes of data" not in said and "data bytes" not in said:
        raise LabError(f"ping {address}: {said.strip()}")
