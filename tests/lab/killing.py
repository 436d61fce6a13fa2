"""`pulumi` ended in the middle of an update, as by a machine that loses power or a person who loses patience."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from lab.deployment import Deployment

UP = ("up", "--yes", "--skip-preview", "--stack")


def interrupted(
    deployment: Deployment, command: Sequence[str], when: Callable[[str], bool], end: Callable[[int], None]
) -> str:
    """Run `pulumi` and, at the first line of its output that is `when`, call `end` with its process id.

    What it said until it ended; AssertionError when that line never came.
    """
    process = subprocess.Popen(
        deployment.argv(command),
        cwd=deployment.folder,
        env=deployment.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(240, kill, [process.pid])
    watchdog.start()
    said: list[str] = []
    met = False
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if not met and when(line):
                met = True
                end(process.pid)
    finally:
        watchdog.cancel()
        kill(process.pid)
        process.wait()
    assert met, "".join(said)
    return "".join(said)


def kill(pid: int) -> None:
    """This process and all below it, none of which gets to do anything about it."""
    family = [pid, *_descendants(pid)]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for member in family:
            with suppress(ProcessLookupError):
                os.kill(member, number)


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: list[int] = []
    todo = [pid]
    while todo:
        todo += (below := children.get(todo.pop(), []))
        found += below
    return found
