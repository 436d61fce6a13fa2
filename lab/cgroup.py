"""Each host's processes in a cgroup of their own: found, counted and ended together, whoever started them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from lab.errors import LabError

_TOP = "wgnode-lab"


def mounted() -> Path:
    """Where the cgroup2 file system is, alone or beside the older hierarchies."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, kind = line.partition(" - ")
        if kind.split()[0] == "cgroup2":
            return Path(fields.split()[4])
    raise LabError("no cgroup2 file system is mounted; mount one: mount -t cgroup2 cgroup2 /sys/fs/cgroup")


def of_lab(lab: str) -> Path:
    return mounted() / _TOP / lab


def of_host(lab: str, host: str) -> Path:
    return of_lab(lab) / host


def labs() -> list[str]:
    """Names of labs that have or had processes."""
    top = mounted() / _TOP
    return sorted(each.name for each in top.iterdir() if each.is_dir()) if top.is_dir() else []


def populated(path: Path) -> bool:
    """True where a process lives in the cgroup or below it."""
    with contextlib.suppress(OSError):
        return "populated 1" in (path / "cgroup.events").read_text()
    return False


def processes(path: Path) -> Iterator[int]:
    """Processes of the cgroup and of those below it, which come and go meanwhile."""
    for directory, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            yield from map(int, Path(directory, "cgroup.procs").read_text().split())


def leader(path: Path) -> int | None:
    """The outer process number of the container's PID 1."""
    for process in processes(path):
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{process}/status").read_text()
            numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
            if len(numbers) > 1 and numbers[-1] == "1":
                return process
    return None


def end(path: Path, timeout: float = 20.0) -> bool:
    """Kill everything in the cgroup and remove it; False where it did not exist. `timeout` in seconds."""
    if not path.is_dir():
        return False
    deadline = time.monotonic() + timeout
    (path / "cgroup.kill").write_text("1")
    while populated(path):
        if time.monotonic() > deadline:
            raise LabError(f"processes {list(processes(path))} of {path} cannot be killed; see `ps -o pid,stat,wchan`")
        time.sleep(0.01)
    for directory, _, _ in os.walk(path, topdown=False):
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(directory)
    return True


def remove_empty(lab: str) -> None:
    """Remove the lab's own directory and, with the last lab, the one above."""
    for path in (of_lab(lab), mounted() / _TOP):
        with contextlib.suppress(OSError):
            path.rmdir()
