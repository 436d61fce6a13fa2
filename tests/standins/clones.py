"""Operators: clones of a deployed project, each with an engine's home of its own, who share a backend and hosts."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
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

    def wgnode(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(self.environment.command(*arguments))

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(["pulumi", *arguments, "--non-interactive"])

    def _run(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv, cwd=self.folder, env=self.variables, capture_output=True, text=True, timeout=600, check=False
        )

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """In a group of its own, which `kill` ends as a whole, as the end of a machine does."""
        return subprocess.Popen(
            argv,
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@contextmanager
def held(environment: Environment, site: str) -> Iterator[Callable[[subprocess.Popen[str]], None]]:
    """Until its end, changes to that site's host wait; what it gives waits until one of a command's does."""
    address = environment.project.own[site]["host"]["address"]
    gate = kept.gate_of(environment.hosts / address)
    os.mkfifo(gate)
    opened: list[int] = []

    def until(running: subprocess.Popen[str]) -> None:
        while running.poll() is None:
            with suppress(OSError):  # that nobody reads yet
                opened.append(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
                return
            time.sleep(0.05)
        raise AssertionError(f"it ended without a change to {site}'s host:\n{running.communicate()[0]}")

    try:
        yield until
    finally:
        gate.unlink()
        for one in opened:
            os.close(one)


def kill(running: subprocess.Popen[str]) -> None:
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
