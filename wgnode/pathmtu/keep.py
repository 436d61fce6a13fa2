"""Keeping a found size: confirmed while full-size packets flow, soon when the peer falls silent, never while idle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wgnode.pathmtu import ladder
from wgnode.pathmtu.batch import Step
from wgnode.pathmtu.bracket import MAX_PROBES
from wgnode.pathmtu.credit import ROUTINE, SUSPECTED, Credit
from wgnode.pathmtu.ladder import BASE
from wgnode.protocol.schedule import NEVER

CONFIRM_INTERVAL = 1.0
"""Seconds between confirmations as a matter of routine."""
SUSPICION_INTERVAL = 0.5
"""Seconds between confirmations on a suspicion: a one-way flow hears nothing and is nothing suspicious."""
MIN_SILENCE = 0.25
"""Seconds without a word from the peer, from a full-size packet on, that make it suspicious."""
RAISE_TIMER = 600.0
"""Seconds, PMTU_RAISE_TIMER (RFC 8899 section 5.1.1)."""
LOSSY_RAISE = 10.0
"""The same, once, after a search over a path that loses small ones too: chance may have ended it early."""
FLOWING = 1.0
"""Seconds that a full-size packet counts as a flow."""


@dataclass(frozen=True)
class Facts:
    """What a decision about a found size needs of others."""

    size: int
    raises: Sequence[int]
    """Sizes that tell whether the path has grown."""
    credit: Credit
    timeout: float
    """Seconds that an answer may take."""
    retry: bool
    """The last batch was not answered at all."""
    small: int
    """Wire bytes of the witnesses."""


class Keep:
    """Times and losses of one found size. `phase` (0 to 1) parts many peers' raise timers, by a tenth either way."""

    def __init__(self, phase: float) -> None:
        self.strikes = 0
        """The present size was lost so often in a row, with a small one alive beside it."""
        self._raise_after = RAISE_TIMER * (0.9 + 0.2 * phase)
        self._raise_at = NEVER
        self._confirmed = -NEVER
        self._full = -NEVER
        self._unheard = NEVER
        self._longest = 0  # of what was sent since the last confirmation
        self._hint = 0

    def sent(self, now: float, longest: int, size: int) -> None:
        """Traffic went out. What would not pass at BASE, or at the next rung below a smaller `size`, vouches for it: no
        longer packets may be sent here than that, and a path may fall by more than one rung."""
        self._longest = max(self._longest, longest)
        if longest > min(ladder.below(size), BASE):
            self._full = now
            self._unheard = min(self._unheard, now)

    def heard(self) -> None:
        """Anything came from the peer."""
        self._unheard = NEVER

    def plausible(self, hint: int) -> bool:
        """Was anything longer sent since the last look, so that somebody may have found it too long?"""
        return hint < self._longest

    def hinted(self, hint: int) -> None:
        self._hint = hint

    def begin(self) -> None:
        """What was lost before counts no more."""
        self.strikes = self._hint = 0

    def found(self, now: float, *, lossy: bool) -> None:
        """A search is complete."""
        self._looked(now)
        self._raise_at = now + (LOSSY_RAISE if lossy else self._raise_after)

    def due(self, last: float, facts: Facts) -> float:
        """When to do something, as far as there is credit for it. `last`: when something was done."""
        size, credit = facts.size, facts.credit
        if self.strikes or facts.retry:
            return last if self.strikes >= MAX_PROBES or credit.left(size + facts.small) else NEVER
        if not credit.left(SUSPECTED * size):
            return NEVER
        suspicious = self._suspicious(facts.timeout)
        return min(suspicious, self._routine(), self._raising(facts)) if credit.left(ROUTINE * size) else suspicious

    def decide(self, now: float, facts: Facts) -> tuple[Step, Sequence[int]]:
        """Something is due: what, and with which sizes."""
        if self.strikes >= MAX_PROBES:
            return Step.FALL, self.falling(facts.size)
        if not self.strikes and not facts.retry and self._raising(facts) <= now:
            self.found(now, lossy=False)
            return Step.RAISE, facts.raises
        self._looked(now)
        return Step.CONFIRM, [facts.size]

    def falling(self, size: int) -> list[int]:
        """The present size again, the next rung below it, what was hinted at, and some further down."""
        lower = {ladder.below(size), *ladder.spread(ladder.between(BASE, size), 2), min(BASE, size), self._hint}
        lower |= set(ladder.between(0, size)) if size <= BASE else set()
        return sorted({size, *(each for each in lower if 0 < each < size)})

    def _looked(self, now: float) -> None:
        self._confirmed, self._unheard, self._longest = now, NEVER, 0

    def _routine(self) -> float:
        return self._confirmed + CONFIRM_INTERVAL if self._full > self._confirmed else NEVER

    def _suspicious(self, timeout: float) -> float:
        if self._hint:
            return self._confirmed + CONFIRM_INTERVAL
        return max(self._confirmed + SUSPICION_INTERVAL, self._unheard + max(MIN_SILENCE, timeout))

    def _raising(self, facts: Facts) -> float:
        return self._raise_at if facts.raises and self._full >= self._raise_at - FLOWING else NEVER
