"""How much of something there may be a second. Pure: the time is an argument."""

from __future__ import annotations


class Bucket:
    """`burst` at once, and `rate` a second for long. What is taken beyond is a debt that has to be waited for."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._level = burst
        self._at: float | None = None

    def take(self, amount: float, now: float) -> float:
        """Take it, and say for how many seconds to wait before the next; 0.0 while there is some left."""
        self._fill(now)
        self._level -= amount
        return max(0.0, -self._level / self.rate)

    def offer(self, now: float) -> bool:
        """Take one if there is one."""
        self._fill(now)
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def _fill(self, now: float) -> None:
        passed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._at = now
        self._level = min(self.burst, self._level + passed * self.rate)
