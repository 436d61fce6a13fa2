"""Until when the operation on a resource must have ended: `customTimeouts` of the program, kept wherever we wait.

A deadline belongs to the call in which it was set, as `log`'s sink does: kinds and hosts ask for it and pass none on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Deadline:
    """`at` in seconds of time.monotonic; `why` is a sentence that names the operation and what set the limit."""

    at: float
    why: str


_current: ContextVar[Deadline | None] = ContextVar("wgnode_deadline", default=None)


@contextmanager
def within(seconds: float, operation: str) -> Iterator[None]:
    """All that is done inside has so much time; 0 (the engine's word for none given) is no limit."""
    if seconds <= 0:
        yield
        return
    why = f"{operation} may take {seconds:g} s by its customTimeouts, which are over"
    token = _current.set(Deadline(time.monotonic() + seconds, why))
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Deadline | None:
    return _current.get()


def remaining() -> float | None:
    """Seconds, 0.0 where the time is over, None without a limit."""
    deadline = _current.get()
    return None if deadline is None else max(0.0, deadline.at - time.monotonic())


def at_most(seconds: float) -> float:
    """`seconds`, or what remains where that is less."""
    left = remaining()
    return seconds if left is None else min(seconds, left)


def over() -> str:
    """Why the time is over; "" while it is not."""
    deadline = _current.get()
    return deadline.why if deadline is not None and time.monotonic() >= deadline.at else ""
