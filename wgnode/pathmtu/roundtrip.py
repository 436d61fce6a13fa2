"""How long an answer takes, and when one is missed (RFC 6298)."""

from __future__ import annotations

from wgnode.protocol.constants import REKEY_TIMEOUT

INITIAL_TIMEOUT = 1.0
"""Seconds, RFC 6298 section 2.1."""
MIN_TIMEOUT = 0.2
MAX_TIMEOUT = REKEY_TIMEOUT
MIN_GRACE = 0.01
REORDERED = 4
"""Times the witness's round trip that another one's may be longer."""


class RoundTrip:
    """Smoothed from answers. Each probe has an id of its own, so retries make no sample doubtful."""

    def __init__(self) -> None:
        self.smoothed = 0.0
        """Seconds, 0 before the first sample."""
        self._variation = 0.0

    def sample(self, seconds: float) -> None:
        seconds = max(0.0, seconds)
        if not self.smoothed:
            self.smoothed, self._variation = seconds, seconds / 2
            return
        self._variation += (abs(self.smoothed - seconds) - self._variation) / 4
        self.smoothed += (seconds - self.smoothed) / 8

    def timeout(self) -> float:
        """Seconds after which nothing of what was sent will be answered."""
        if not self.smoothed:
            return INITIAL_TIMEOUT
        return min(MAX_TIMEOUT, max(MIN_TIMEOUT, self.smoothed + 4 * self._variation))

    def grace(self, witness: float) -> float:
        """Seconds that a probe may come later than one that was sent after it, and took `witness`: paths reorder.

        What was before says less than the witness: a flow that has just stalled has left full queues behind in it.
        """
        return max(MIN_GRACE, min(max(self.smoothed / 2, 2 * self._variation), REORDERED * witness))
