"""So that a thousand peers whose route has changed do not probe at the same moment."""

from __future__ import annotations

from collections.abc import Callable

RATE = 1_000_000
"""Bytes a second for the probes of all peers together."""
BURST = 100_000
"""Bytes at once: a dozen peers begin without waiting."""

Gate = Callable[[float, int], float]
"""`gate(now, cost)`: from when on so many bytes may go, in the order in which they were asked for."""


def at_once(now: float, cost: int) -> float:
    """The gate of a node with few peers."""
    return now


class Stagger:
    """A leaky bucket (GCRA) of bytes: in turn, none forgotten."""

    def __init__(self, rate: int = RATE, burst: int = BURST) -> None:
        self._rate = rate
        self._ahead = burst / rate
        self._empty_at = float("-inf")

    def __call__(self, now: float, cost: int) -> float:
        self._empty_at = max(self._empty_at, now) + cost / self._rate
        return max(now, self._empty_at - self._ahead)
