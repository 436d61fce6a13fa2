"""Messages for a person who waits: what is being done, and that it still goes on."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

KEPT_OUTPUT = 40
"""Lines of a failed program's output that are shown."""

DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""Even when we are killed, or interrupted while the program starts, it ends."""


class StepFailed(Exception):
    """A program of a step failed or took too long; the message says which, why, and shows the end of its output."""


def say(message: str) -> None:
    print(f"   {message}", file=sys.stderr, flush=True)


def stop_on_signals() -> None:
    """Make SIGINT, SIGTERM and SIGHUP end this program as an exit does, so that it ends the programs it runs."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, leave)


def run_with_progress(
    argv: Sequence[str | Path],
    what: str,
    *,
    unit: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    limit: float = 3600,
    interval: float = 15,
) -> None:
    """Run a program, and every `interval` seconds say how long it has run and how many lines (`unit`s) it printed.

    Raises StepFailed when it exits with another code than 0, or after `limit` seconds, when it and its children are
    killed.
    """
    started = time.monotonic()
    process = subprocess.Popen(
        [*DIES_WITH_US, *map(str, argv)],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # so that its children can be killed with it
    )
    lines: list[str] = []
    reader = threading.Thread(target=_collect, args=(process, lines), daemon=True)
    reader.start()
    try:
        while reader.is_alive():
            reader.join(min(interval, max(0.0, started + limit - time.monotonic())))
            elapsed = time.monotonic() - started
            if elapsed >= limit:
                raise StepFailed(f"{what}: stopped after {limit:.0f} s\n{_tail(lines)}")
            if reader.is_alive():
                say(f"{what}: {elapsed:.0f} s, {len(lines)} {unit}")
        if process.wait():
            raise StepFailed(f"{what}: exit code {process.returncode}\n{_tail(lines)}")
    finally:
        _end(process)


def _collect(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stdout is not None
    lines.extend(line.rstrip() for line in process.stdout)


def _tail(lines: list[str]) -> str:
    return "\n".join(f"      {line}" for line in lines[-KEPT_OUTPUT:])


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
