"""A path of which nothing is heard, which says nothing about sizes: when to try again. Never while nothing is sent."""

from __future__ import annotations

from wgnode.pathmtu.bracket import MAX_PROBES
from wgnode.pathmtu.keep import RAISE_TIMER
from wgnode.protocol.schedule import NEVER

FIRST = 1.0
"""Seconds to the first new try; each further one waits twice as long, up to RAISE_TIMER."""


class Silence:
    """Counts batches without any answer."""

    def __init__(self) -> None:
        self.missed = 0
        """Batches in a row of which nothing was answered."""
        self.quiet = False
        """As many as count: all is lost, the small ones too."""
        self.answers = False
        """Something was answered over this path, ever."""
        self._wait = FIRST
        self._again = NEVER
        self._wanted = False

    def begin(self, *, other_path: bool) -> None:
        """A search begins."""
        self.missed, self.quiet = 0, False
        self.answers = self.answers and not other_path

    def miss(self) -> bool:
        """A batch was not answered; is that enough?"""
        self.missed += 1
        return self.missed >= MAX_PROBES

    def start(self, now: float) -> None:
        """All was lost."""
        self.missed, self.quiet, self._wait, self._wanted = 0, True, FIRST, False
        self._again = now + FIRST

    def trying(self, now: float) -> None:
        self._wait = min(2 * self._wait, RAISE_TIMER)
        self._again, self._wanted = now + self._wait, False

    def answered(self, now: float) -> None:
        """A probe was."""
        self.answers = True
        self.heard(now)

    def sent(self) -> None:
        self._wanted = True

    def heard(self, now: float) -> None:
        """The peer is back: one that has answered before is asked soon, one that never did is not."""
        if self.quiet and self.answers and self._wait > FIRST:
            self._wait = FIRST
            self._again = min(self._again, now + FIRST)

    def again(self) -> float:
        """When to try, NEVER while nothing is sent to the peer."""
        return self._again if self._wanted else NEVER
