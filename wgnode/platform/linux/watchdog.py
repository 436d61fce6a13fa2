"""The kernel's software watchdog: resets the machine when the loop stops turning."""

from __future__ import annotations

import os

from wgnode.platform import Warn

DEVICE = "/dev/watchdog"


class Watchdog:
    """Armed when made. Its margin is the module's own, 60 seconds."""

    def __init__(self, warn: Warn, device: str = DEVICE) -> None:
        try:
            self._fd = os.open(device, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            self._fd = -1
            warn(f"no watchdog: {error.strerror}")

    def feed(self) -> None:
        if self._fd >= 0:
            os.write(self._fd, b"\0")
