"""Work that a descriptor asks for, at a bounded rate however often it asks.

Beside BGP or containers the kernel tells of thousands of changes a second. What to do about each is the same, so it is
done for many at once: for the first without delay, then after a rest for all that came meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

from wgnode.io.loop import Loop, Timer

REST = 0.05
"""Seconds at least between one work and the next."""
SHARE = 10
"""A rest is so many times as long as the work took, which so gets a tenth of the time..."""
LONGEST_REST = 1.0
"""...but in seconds no longer than this, so that no change waits for ever."""


class Paced:
    """Calls `work` when `fd` is readable. What comes during a rest waits there, or the kernel says that it was lost.

    `work` reads, and returns the seconds that what it has led to will still take, so that the rest is long enough.
    """

    def __init__(self, loop: Loop, fd: int, work: Callable[[], float]) -> None:
        self._loop, self._fd, self._work = loop, fd, work
        self._timer: Timer | None = None
        loop.add_reader(fd, self._readable)

    def close(self) -> None:
        """The descriptor is still open."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._fd)

    def _readable(self) -> None:
        begin = self._loop.now()
        led_to = self._work()
        took = self._loop.now() - begin + led_to
        self._loop.remove_reader(self._fd)
        self._timer = self._loop.call_later(min(LONGEST_REST, max(REST, SHARE * took)), self._rested)

    def _rested(self) -> None:
        self._timer = None
        self._loop.add_reader(self._fd, self._readable)
