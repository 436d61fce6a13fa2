"""The event loop: one thread, one epoll, file descriptors with callbacks, and timers.

A callback that raises ends the loop with that exception: the callbacks handle what they expect themselves.

The clock goes on while the machine sleeps (clock.py); the kernel's waiting does not. A wait that a suspend interrupts
lasts as long awake as it would have without it, so a timer due meanwhile may be late by that much, LONGEST_SLEEP at
most. Whatever wakes the loop before, a packet or a link that comes up again, runs it at once; and nothing depends on
timers alone, since every packet has its session's age checked. A timerfd of CLOCK_BOOTTIME would be in time, at a call
of the C library by hand (Python 3.11 has none) for each change of the first deadline.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
from collections.abc import Callable
from dataclasses import dataclass, field

from wgnode.io.clock import boottime

Callback = Callable[[], None]
LONGEST_SLEEP = 3600.0
"""Seconds; a deadline further away than this costs one idle wake-up an hour."""


@dataclass(order=True)
class Timer:
    """A callback due at `deadline`, in seconds of the loop's clock. `cancel()` may be called at any time."""

    deadline: float
    order: int
    callback: Callback | None = field(compare=False)

    def cancel(self) -> None:
        self.callback = None


class Loop:
    """Readers, writers and timers. `clock` is seconds that never step back."""

    def __init__(self, clock: Callable[[], float] = boottime) -> None:
        self.now = clock
        """Asked some four times a packet, so nothing stands between."""
        self._epoll = select.epoll()
        self._readers: dict[int, Callback] = {}
        self._writers: dict[int, Callback] = {}
        self._timers: list[Timer] = []
        self._order = itertools.count()
        self._stopped = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.add_reader(self._wake, self._woken)

    def add_reader(self, fd: int, callback: Callback) -> None:
        """Call back while `fd` is readable, has an error, or was hung up (the callback's read tells which)."""
        self._change(fd, lambda: self._readers.update({fd: callback}))

    def remove_reader(self, fd: int) -> None:
        self._change(fd, lambda: self._readers.pop(fd, None))

    def add_writer(self, fd: int, callback: Callback) -> None:
        """Call back while `fd` is writable, has an error, or was hung up."""
        self._change(fd, lambda: self._writers.update({fd: callback}))

    def remove_writer(self, fd: int) -> None:
        self._change(fd, lambda: self._writers.pop(fd, None))

    def call_later(self, delay: float, callback: Callback) -> Timer:
        """Call back once, `delay` seconds from now."""
        return self.call_at(self.now() + delay, callback)

    def call_at(self, deadline: float, callback: Callback) -> Timer:
        timer = Timer(deadline, next(self._order), callback)
        heapq.heappush(self._timers, timer)
        return timer

    def run(self) -> None:
        """Until `stop()`, even if that came first."""
        while not self._stopped:
            self.run_once()
        self._stopped = False

    def run_once(self, timeout: float | None = None) -> None:
        """One wait, at most `timeout` seconds (None: until something happens), and the callbacks it woke."""
        sleep = self._sleep(timeout)
        for fd, events in self._epoll.poll(sleep):
            broken = events & (select.EPOLLERR | select.EPOLLHUP)
            if events & select.EPOLLIN or broken:
                self._readers.get(fd, _nothing)()
            if events & select.EPOLLOUT or broken:
                self._writers.get(fd, _nothing)()
        self._run_timers()

    def stop(self) -> None:
        """May be called from another thread. A signal handler's call may come too late: see signals.py."""
        self._stopped = True
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        self._epoll.close()
        os.close(self._wake)

    def _change(self, fd: int, change: Callable[[], object]) -> None:
        before = self._events(fd)
        change()
        after = self._events(fd)
        if before == after:
            return
        if not before:
            self._epoll.register(fd, after)
        elif after:
            self._epoll.modify(fd, after)
        else:
            self._epoll.unregister(fd)

    def _events(self, fd: int) -> int:
        reading = select.EPOLLIN if fd in self._readers else 0
        return reading | (select.EPOLLOUT if fd in self._writers else 0)

    def _sleep(self, timeout: float | None) -> float:
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        longest = LONGEST_SLEEP if timeout is None else timeout
        if not self._timers:
            return longest
        return min(longest, max(0.0, self._timers[0].deadline - self.now()))

    def _run_timers(self) -> None:
        """Only those due now: one that arms itself again at once must not starve the descriptors."""
        now = self.now()
        due = []
        while self._timers and self._timers[0].deadline <= now:
            due.append(heapq.heappop(self._timers))
        for timer in due:
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()

    def _woken(self) -> None:
        os.eventfd_read(self._wake)


def _nothing() -> None:
    """For a descriptor that an earlier callback of the same wake-up has removed."""
