"""Operators: clones of a deployed project, each with an engine's home of its own, who share a backend and hosts."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.standins.environment import Environment
from tests.standins.hosts import kept
from tools import ROOT


class Clone:
    """What git does not have of `environment`'s project is linked into it."""

    def __init__(self, environment: Environment, folder: Path) -> None:
        self.environment, self.folder = environment, folder
        subprocess.run(["git", "clone", "-q", environment.folder, folder], check=True)
        for name in ("infra", "plugin", "pyproject.toml", "image.tar"):
            (folder / name).symlink_to(environment.folder / name)
        own = {"PULUMI_HOME": str(folder / "home"), "PWD": str(folder), "PYTHONPATH": str(ROOT)}
        self.variables = environment.variables() | own
        (folder / "home").mkdir()

    def wgnode(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(self.environment.command(*arguments))

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(["pulumi", *arguments, "--non-interactive"])

    def _run(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv, cwd=self.folder, env=self.variables, capture_output=True, text=True, timeout=600, check=False
        )

    @contextmanager
    def held(self, argv: Sequence[str], method: str) -> Iterator[subprocess.Popen[str]]:
        """A command in the middle of a call of that method (* of any) to a host, which goes on at the end.

        In a group of its own, which `kill` ends as a whole, as the end of a machine does.
        """
        gate = self.folder / "home" / "gate"
        os.mkfifo(gate)
        running = subprocess.Popen(
            argv,
            cwd=self.folder,
            env={**self.variables, kept.GATE: f"{method} {gate}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        end = _other_end(gate, running)
        try:
            yield running
        finally:
            gate.unlink()
            os.close(end)


def _other_end(gate: Path, running: subprocess.Popen[str]) -> int:
    """Once it is read."""
    while running.poll() is None:
        with suppress(OSError):  # that nobody reads yet
            return os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.05)
    gate.unlink()
    raise AssertionError(f"it ended without such a call:\n{running.communicate()[0]}")


def kill(running: subprocess.Popen[str]) -> None:
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
