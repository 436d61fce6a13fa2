"""Long work (wgnode/work.py) in slices: between them the loop does everything else, packets, handshakes and timers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from wgnode.io.loop import Loop, Timer
from wgnode.work import Result, Work

Within = Callable[[], AbstractContextManager[None]]

STEPS = 128
"""Of a slice: some 2 ms on a server, 20 ms where the processor is emulated."""
MOST_STEPS = 1024
"""Of a slice that finds nowhere to rest: one peer may have any number of networks."""
LONGEST_REST = 0.005
"""Seconds: enough to wake and move what waits, where a slice takes longer."""


class Slices:
    """Does one work after the other, so that none meets what another has half done.

    After each slice it rests as long as that took, or LONGEST_REST: the plane's thread, which stands still while its
    peers are changed, may not even wake before the next one else.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[Work[Any], Callable[[Any], None], Within]] = deque()
        self._next: Timer | None = None

    def add(
        self,
        work: Work[Result],
        done: Callable[[Result], None],
        within: Within = nullcontext,
    ) -> None:
        """Begin now, or after what was added before. `done` gets the result, before this returns where one slice is
        enough. Each slice is done in a `within`. What the work raises ends the loop."""
        self._waiting.append((work, done, within))
        if len(self._waiting) == 1:
            self._slice()

    def close(self) -> None:
        """What is not finished stays so, and is not answered."""
        if self._next is not None:
            self._next.cancel()
        self._waiting.clear()

    def _slice(self) -> None:
        self._next = None
        work, done, within = self._waiting[0]
        begin = self._loop.now()
        with within():
            finished = _advance(work)
        if finished is not None:
            self._waiting.popleft()
            done(finished[0])
        if self._waiting and self._next is None:
            self._next = self._loop.call_later(min(self._loop.now() - begin, LONGEST_REST), self._slice)


def _advance(work: Work[Result]) -> tuple[Result] | None:
    """One slice of it. The result, if that was the last."""
    steps = 1
    try:
        while steps < (STEPS if next(work) else MOST_STEPS):
            steps += 1
    except StopIteration as finished:
        return (finished.value,)
    return None
