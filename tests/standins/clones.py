"""Operators: clones of a deployed project, each with an engine's home of its own, who share a backend and hosts."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

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
def held(environment: Environment, site: str) -> Iterator[Callable[[], None]]:
    """Until its end, changes to that site's host wait; who calls what it gives waits until one does."""
    address = environment.project.own[site]["host"]["address"]
    gate = kept.gate_of(environment.hosts / address)
    os.mkfifo(gate)
    opened: list[IO[bytes]] = []
    try:
        yield lambda: opened.append(gate.open("wb"))  # opens once a change has opened it
    finally:
        gate.unlink()
        for one in opened:
            one.close()


def kill(running: subprocess.Popen[str]) -> None:
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
