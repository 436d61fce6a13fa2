"""The clock of everything that has a deadline."""

from __future__ import annotations

import time


def boottime() -> float:
    """Seconds that never step back and that go on while the machine sleeps: a session grows old meanwhile, for its peer
    too. Linux's WireGuard counts a session's age by the same clock; `time.monotonic` stands still in a suspend.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)
