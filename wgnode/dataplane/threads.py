"""On how many threads the compiled plane moves packets: as many as help, where nobody says."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath

AUTO = "auto"
MOST = 64
HELPFUL = 2
"""More have not been seen to help (docs/decisions/engine-threads.md); who has more processors may ask for more."""
SPARE = 1
"""Processors for the rest: what the kernel does for each packet, the program whose packets they are, and the protocol.
Of two, a second thread took from these what it gave to one flow."""
CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def parse(text: str) -> int | None:
    """None for AUTO. ValueError for anything else than that and 1 to MOST."""
    if text == AUTO:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST:
        raise ValueError(f"{text!r} threads: give {AUTO}, or a number from 1 to {MOST}")
    return int(text)


def helpful(processors: int, quota: float | None) -> int:
    """Of so many processors that this process may run on, where it may use `quota` of them on average, or all (None).

    What more threads than the quota has whole processors use is up early, and all stand still for the rest of a period.
    """
    whole = processors if quota is None else math.floor(quota)
    return max(1, min(min(processors, whole) - SPARE, HELPFUL))


def here() -> int:
    """As many as help this process now."""
    affinity = getattr(os, "sched_getaffinity", None)
    return helpful(len(affinity(0)) if affinity is not None else os.cpu_count() or 1, quota())


def quota(membership: Path = MEMBERSHIP, groups: Path = CGROUPS) -> float | None:
    """Processors that this process's control groups leave it on average, of either version; None without a limit."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    limits = [limit for line in lines for limit in _limits(line, groups) if limit is not None]
    return min(limits, default=None)


def _limits(line: str, groups: Path) -> list[float | None]:
    """Of a group, as a line of /proc/self/cgroup names it (cgroups(7)), and of all above it."""
    number, controllers, group = line.split(":", 2) if line.count(":") > 1 else ("", "", "")
    path = PurePosixPath(group)
    if not path.is_absolute() or ".." in path.parts:
        return []  # none, or outside of what this namespace shows
    above = [each.relative_to("/") for each in (path, *path.parents)]
    if number == "0":
        return [_limit(groups / each / "cpu.max") for each in above]
    if "cpu" not in controllers.split(","):
        return []
    return [_older_limit(groups / "cpu" / each) for each in above]


def _limit(file: Path) -> float | None:
    """Of one group: microseconds in a period, and the period. None where it has none, or says something else."""
    try:
        most, period = file.read_text().split()
        return None if most == "max" else int(most) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _older_limit(group: Path) -> float | None:
    """The same of cgroup-v1, where less than none is no limit. Whatever is mounted there, "cpu" is a name of it."""
    try:
        most, period = (int((group / f"cpu.cfs_{what}_us").read_text()) for what in ("quota", "period"))
        return None if most < 0 else most / period
    except (OSError, ValueError, ZeroDivisionError):
        return None
