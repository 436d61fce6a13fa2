"""`wgnode` in a process that dies at a chosen point of a rollout: `-m tests.lab.rollout_driver POINT ARGUMENTS`."""

from __future__ import annotations

import os
import signal
import sys

from pulumi_wgnode.operations.rolling.running import Run
from wgnode.cli import main


def at(self: Run, point: str) -> None:
    if point == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)


Run.at = at  # type: ignore[method-assign]
main(sys.argv[2:])
