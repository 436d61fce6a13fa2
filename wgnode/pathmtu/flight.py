"""Probes that may still be answered, late ones included."""

from __future__ import annotations

from typing import NamedTuple

ID_LENGTH = 12
"""Random bytes of a probe's id: nobody who has not seen the probe can answer it."""
LATEST = 10.0
"""Seconds after which an answer counts no more."""
MOST = 64


class Flown(NamedTuple):
    size: int
    at: float


class Flight:
    """Oldest first, bounded. An answer that comes late proves its size as well as one in time."""

    def __init__(self) -> None:
        self._open: dict[bytes, Flown] = {}

    def start(self, probe: bytes, size: int, now: float) -> None:
        if len(self._open) >= MOST:
            del self._open[next(iter(self._open))]
        self._open[probe] = Flown(size, now)

    def land(self, probe: bytes, now: float) -> Flown | None:
        """The first answer to a probe; None for one that was never sent, is too old, or was answered already."""
        flown = self._open.pop(probe, None)
        return flown if flown and now - flown.at <= LATEST else None

    def clear(self) -> None:
        """Another path: what was sent over the former proves nothing."""
        self._open.clear()
