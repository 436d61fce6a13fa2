"""The only process of its machine: no init, no forks, and none of the measures by which Linux confines a process."""

from __future__ import annotations

import errno
import os
import socket
import time
from typing import NoReturn

from wgnode.platform import Confinement, Warn
from wgnode.platform.nanos.sockets import ReadBack

LACKING = ("capabilities", "file-systems", "lockdown", "no-new-privileges", "seccomp", "watchdog")
"""Measures of the gateway on Linux (platform/linux/confine.py, watchdog.py) that Nanos has nothing for."""
CLOCK_TOLERANCE = 0.02
"""Seconds by which the clock may differ from the host's before it is set."""


class Clock:
    """clock_settime(2), which older kernels have not (ENOSYS): then the machine keeps its own time."""

    def __init__(self) -> None:
        self._keeps_its_own = False

    def set(self, unix_ns: int) -> float:
        """Raises OSError, once, where the kernel has no such call."""
        off = (unix_ns - time.time_ns()) / 1e9
        if self._keeps_its_own or abs(off) <= CLOCK_TOLERANCE:
            return 0.0 if self._keeps_its_own else off
        try:
            time.clock_settime_ns(time.CLOCK_REALTIME, unix_ns)
        except OSError as error:
            self._keeps_its_own = error.errno == errno.ENOSYS
            raise
        return off


class Only:
    """Ends as the program ends: QEMU runs with -no-reboot, and whoever runs it starts a new one."""

    def __init__(self, sockets: ReadBack) -> None:
        self._sockets = sockets

    def boot(self, warn: Warn) -> None:
        warn("on Nanos, which is experimental: docs/decisions/nanos.md says what it does otherwise than Linux")

    def ready(self, warn: Warn) -> Confinement:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
            self._sockets.prepare(tried)
            self._sockets.join_and_split(tried, gro=True)
        if self._sockets.missing:
            warn(f"this kernel says yes to these and does not do them, so the node does without: {self._missing()}")
        return Confinement({"system": "nanos"}, LACKING)

    def alive(self) -> None:
        """There is no watchdog inside; the host's ends a machine that gives no sign of life."""

    def end(self) -> NoReturn:
        os._exit(1)

    def _missing(self) -> str:
        return ", ".join(sorted(self._sockets.missing))
