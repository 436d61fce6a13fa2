"""One direction of a cable that takes time: what arrives leaves by rate, and arrives after a delay. No I/O."""

from __future__ import annotations

from collections import deque

UNLIMITED = float("inf")


class Queue:
    """First in, first out. `delay` in seconds, `rate` in bytes a second, `room` bytes that may wait for their turn.

    Frames that find no room are dropped, as at any bottleneck; those on their way have left the queue.
    """

    def __init__(self, delay: float, rate: float = UNLIMITED, room: int = 1 << 20) -> None:
        self.delay, self.rate, self.room = delay, rate, room
        self.dropped = 0
        self._frames: deque[tuple[float, bytes]] = deque()
        self._free_at = 0.0

    def put(self, frame: bytes, now: float) -> None:
        begins = max(now, self._free_at)
        if (begins - now) * self.rate > self.room:
            self.dropped += 1
            return
        self._free_at = begins + len(frame) / self.rate
        self._frames.append((self._free_at + self.delay, frame))

    def due(self) -> float | None:
        """When the first one arrives."""
        return self._frames[0][0] if self._frames else None

    def take(self, now: float) -> list[bytes]:
        """What has arrived."""
        taken = []
        while self._frames and self._frames[0][0] <= now:
            taken.append(self._frames.popleft()[1])
        return taken
