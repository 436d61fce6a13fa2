"""How many small probes came back: what a path loses whatever the size."""

from __future__ import annotations

MOST = 64
"""Under way; of more the oldest is given up."""


class Small:
    """`sent` counts those that have had their time, and those that are still in theirs."""

    def __init__(self) -> None:
        self.sent = self.answered = 0
        self._open: dict[bytes, float] = {}

    def start(self, probe: bytes, now: float) -> None:
        if len(self._open) == MOST:
            del self._open[next(iter(self._open))]
        self._open[probe] = now
        self.sent += 1

    def land(self, probe: bytes) -> None:
        """An answer, however late."""
        self.answered += self._open.pop(probe, None) is not None

    def drop(self, probe: bytes) -> None:
        """It was never sent."""
        self.sent -= self._open.pop(probe, None) is not None

    def clear(self, now: float, timeout: float) -> None:
        """Another path: what is under way says nothing any more; what has been for `timeout` seconds was lost."""
        self.sent -= sum(now - at <= timeout for at in self._open.values())
        self._open.clear()
