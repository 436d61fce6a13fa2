"""The value itself: how answers and losses move it, and what vouches for it."""

from __future__ import annotations

from collections.abc import Collection

from wgnode.pathmtu.bracket import MAX_PROBES, Bracket
from wgnode.pathmtu.known import Evidence, Guess, History, Known
from wgnode.pathmtu.ladder import BASE, RESOLUTION


class Value:
    """Up at the first answer, which proves it; down only when what is lost has been lost often enough."""

    def __init__(self, now: float, largest: int, guess: Guess | None) -> None:
        self.largest = largest
        self.base = min(BASE, largest)
        self.bracket = Bracket(largest)
        self._guess = guess
        size, evidence = (guess.size, guess.evidence) if guess else (BASE, Evidence.UNKNOWN)
        self.history = History(Known(min(size, largest), evidence, now))

    @property
    def known(self) -> Known:
        return self.history.known

    @property
    def size(self) -> int:
        return self.known.size

    def lost(self, sizes: Collection[int]) -> None:
        """Each once more, beside a small one that was alive."""
        for size in sizes:
            self.bracket.lost(size)

    def proven(self) -> bool:
        return self.known.evidence is Evidence.PROBE

    def doubt(self, now: float, guess: Guess | None = None) -> None:
        """Another path, or none: nothing vouches for the last size, and it stays unless there is a better guess."""
        self._guess = guess
        size, evidence = (guess.size, guess.evidence) if guess else (self.size, Evidence.UNKNOWN)
        self.history.set(min(size, self.largest), evidence, now)

    def unanswered(self, now: float) -> None:
        """All was lost: the last size stays, and what was answered before vouches for it no more."""
        self.forget()
        self.history.set(self.size, Evidence.UNKNOWN, now)

    def hinted(self, now: float, size: int) -> None:
        """What is said where nobody answers probes: down to BASE at most."""
        if self.base <= size < self.size:
            self.history.set(size, Evidence.HINT, now)

    def forget(self) -> None:
        """Search from nothing."""
        self.bracket = Bracket(self.largest)

    def first(self) -> list[int]:
        """Sizes that a search begins with. What was so the last time needs no others to be believed."""
        return self.bracket.first(self.size, trusted=self.known.evidence is Evidence.MEMORY)

    def vouch(self, now: float) -> bool:
        """After an answer; has the value grown beyond what was proven?"""
        low, grown = self.bracket.low, self.proven() and self.bracket.low > self.size
        if low > self.size or (low == self.size and not self.proven()):
            self.history.set(low, Evidence.PROBE, now)
        return grown

    def settle(self, now: float) -> None:
        """After a batch: what nothing vouches for gives way to what was answered, BASE only when surely lost."""
        if self.proven():
            return
        low = self.bracket.low
        if low >= self.base or self.bracket.against(self.base) >= MAX_PROBES:
            self.history.set(low, Evidence.PROBE, now)
        elif low:
            self.history.set(min(self.size, self.base), Evidence.UNKNOWN, now)

    def remember(self) -> None:
        """After the first batch: where memory's size was the largest that passed, its end is believed as well."""
        guess = self._guess
        if guess and guess.evidence is Evidence.MEMORY and self.bracket.low == guess.size:
            self.bracket.lost(guess.size + RESOLUTION, MAX_PROBES)

    def fall(self, now: float, lost: Collection[int], passed: int) -> None:
        """The present size is lost for sure; `passed` is the largest that was answered beside it."""
        size = self.size
        self.bracket = Bracket(self.largest)
        self.bracket.answered(passed)
        for each in lost:
            self.bracket.lost(each, MAX_PROBES if each >= size else 1)
        sure = passed >= self.base or self.bracket.against(self.base) >= MAX_PROBES
        self.history.set(passed if sure else self.base, Evidence.PROBE if sure else Evidence.UNKNOWN, now)
