"""Whether the machine is busy with something else: processor time of whatever is not the benchmark's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CALM = 0.06
"""Processors in use by others, up to which a measurement may begin."""
NOISY = 0.12
"""Processors in use by others during a measurement, from which on it is repeated, or marked."""
KERNEL_THREADS = "2"
"""The process that is the parent of them all: what they do is packets' work, and counts as ours."""
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """One line of /proc: `ticks` are its own and those of its children that it has waited for."""

    pid: str
    parent: str
    network: int
    ticks: int


def parse_stat(pid: str, line: str, network: int) -> Process:
    """Of /proc/PID/stat (proc_pid_stat(5)); the name in it may have spaces and brackets."""
    words = line.rpartition(")")[2].split()
    return Process(pid, words[1], network, sum(int(word) for word in words[11:15]))


def processes() -> Iterable[Process]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                yield parse_stat(entry.name, (entry / "stat").read_text(), (entry / "ns" / "net").stat().st_ino)


def foreign(ours: Collection[int], found: Iterable[Process]) -> float:
    """Seconds of processes outside our namespaces, without this one and the kernel's threads.

    What ends and is waited for moves to its parent, so that the sum only grows, and nothing short-lived is missed.
    """
    own = str(os.getpid())
    return sum(
        process.ticks
        for process in found
        if process.network not in ours
        and process.pid not in (own, KERNEL_THREADS)
        and process.parent != KERNEL_THREADS
    ) / TICK  # fmt: skip


class Watch:
    """From its making on: how many processors others have used, and how many the hypervisor has taken."""

    def __init__(self, ours: Collection[int]) -> None:
        self._ours = ours
        self._begin, self._foreign, self._stolen = time.monotonic(), foreign(ours, processes()), stolen()

    def foreign(self) -> float:
        return max(0.0, foreign(self._ours, processes()) - self._foreign) / (time.monotonic() - self._begin)

    def stolen(self) -> float:
        return (stolen() - self._stolen) / (time.monotonic() - self._begin)


def stolen() -> float:
    """Seconds that the hypervisor gave to other machines (proc_stat(5), `steal`)."""
    return int(Path("/proc/stat").read_text().split(None, 9)[8]) / TICK


def wait_until_calm(ours: Collection[int], patience: float, watch: Callable[[Collection[int]], Watch] = Watch) -> bool:
    """Whether it became calm within `patience` seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        began = watch(ours)
        time.sleep(0.5)
        if began.foreign() < CALM:
            return True
    return False
