"""What answered and lost probes say of one path, and which sizes to try next. No time, no packets."""

from __future__ import annotations

from wgnode.pathmtu import ladder
from wgnode.pathmtu.ladder import BASE, ETHERNET, RESOLUTION

MAX_PROBES = 3
"""RFC 8899 section 5.1.2: so many lost ones, each with a small one alive beside it, make a size too large."""
RUNGS_AT_ONCE = 3
SURE_ENOUGH_TO_PART = 2
"""Losses of the upper end before the rest is parted finely: one is often chance."""


class Bracket:
    """`low` was answered; `high` is the smallest larger size with a loss, or what the link can't send.

    A path carries all that is smaller than what it carries, so an answer clears the losses below it.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._losses: dict[int, int] = {}
        self.low = 0

    @property
    def high(self) -> int:
        return min(self._losses, default=self._largest + 1)

    def against(self, size: int) -> int:
        """How many losses speak against it: its own, and those of smaller ones."""
        return sum(count for lost, count in self._losses.items() if lost <= size)

    def losses(self, size: int) -> int:
        """How often this very size was lost, since something at least as large was answered."""
        return self._losses.get(size, 0)

    def sure(self) -> bool:
        """Is `high` too large without doubt?"""
        return self.high > self._largest or self._losses[self.high] >= MAX_PROBES

    def exact(self) -> bool:
        """Is the path's MTU within RESOLUTION above `low`?"""
        return self.low > 0 and self.high - self.low <= RESOLUTION and self.sure()

    def answered(self, size: int) -> None:
        if size > self.low:
            self.low = size
            self._losses = {lost: count for lost, count in self._losses.items() if lost > size}

    def forget_losses(self) -> None:
        """The path has grown: they say nothing of it."""
        self._losses.clear()

    def lost(self, size: int, times: int = 1) -> None:
        """`times` is MAX_PROBES where there is no doubt, as when our own kernel refuses it."""
        if size > self.low:
            self._losses[size] = self._losses.get(size, 0) + times

    def first(self, guess: int, *, trusted: bool) -> list[int]:
        """Sizes to begin with: BASE, what is guessed, the usual top, and unless the guess is trusted some between."""
        top = min(self._largest, ETHERNET)
        between = [] if trusted else ladder.spread(ladder.between(BASE, top), 2)
        return sorted({min(BASE, top), top, min(guess, self._largest), *between})

    def next(self) -> list[int]:
        """Sizes to try now, ascending; none when all is known."""
        if self.exact():
            return []
        if self.high - self.low <= RESOLUTION:
            return [self.high]
        return self._rungs() or self._part()

    def raised(self) -> list[int]:
        """What tells whether a path has grown: the least that would count, the next rung, the usual top. None at the
        link's own end."""
        sizes = (self.low + RESOLUTION, ladder.above(self.low), ETHERNET)
        return sorted({size for size in (min(each, self._largest) for each in sizes) if size > self.low})

    def _rungs(self) -> list[int]:
        """A few rungs; above Ethernet one at a time from below, since a lost one of 9,000 costs six of 1,500."""
        rungs = list(ladder.between(self.low, self.high))
        if self.high > self._largest not in rungs:
            rungs.append(self._largest)
        few = ladder.spread([rung for rung in rungs if rung <= ETHERNET] or rungs[:1], RUNGS_AT_ONCE)
        return few + ([self.high] if few and self._doubtful(BASE) else [])

    def _part(self) -> list[int]:
        """Halves; from a rung also the size just above it, since rungs are where most paths end."""
        sizes = {(self.low + self.high) // 2}
        if self.low in ladder.SOURCES and not self.losses(self.low + RESOLUTION):
            sizes.add(self.low + RESOLUTION)
        if self._doubtful(self._largest):
            sizes.add(self.high)
        return sorted(sizes)

    def _doubtful(self, most: int) -> bool:
        """Is the upper end, up to `most`, one that only chance may have lost?"""
        return self.high <= most and self._losses[self.high] < SURE_ENOUGH_TO_PART
