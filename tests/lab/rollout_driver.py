"""`wgnode` in a process that dies at a point of a rollout: `-m tests.lab.rollout_driver POINT:NUMBER ARGUMENTS`."""

from __future__ import annotations

import itertools
import os
import signal
import sys

from pulumi_wgnode.operations.rolling.running import Run
from wgnode.cli import main

WHEN, _, NUMBER = sys.argv[1].partition(":")
left = itertools.count(int(NUMBER or 0), -1)


def at(self: Run, point: str) -> None:
    if point == WHEN and next(left) == 0:
        os.kill(os.getpid(), signal.SIGKILL)


Run.at = at  # type: ignore[method-assign]
main(sys.argv[2:])
