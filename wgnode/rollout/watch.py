"""A gate over its time: looks go in, sooner or later a verdict comes out. Sans-IO: the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from wgnode.rollout.facts import Verdict
from wgnode.rollout.gate import CLOCK, Look, Pair
from wgnode.rollout.policy import Limits

SHORTEST = 30.0
"""Seconds that a site has at least to become healthy, counted from the first look."""
HELD = 15.0
"""Seconds for which something has to be wrong before it counts, of a site that was healthy."""
CHANCE = 1
"""Probes that may be lost whatever the limit: of ten, one is a tenth."""


@dataclass(frozen=True)
class Result:
    """`why` has what was wrong, or could not be measured; `look` is the last one."""

    verdict: Verdict
    why: tuple[str, ...] = ()
    look: Look = field(default_factory=Look)


@dataclass
class Watch:
    """Of one site. `until` is when it has to be healthy at the latest, `soak` for how long it has to stay so, both in
    seconds; `until` by the clock of `looked`."""

    until: float
    soak: float
    limits: Limits
    _healthy_since: float | None = None
    _wrong_since: float | None = None
    _first: dict[str, Pair] = field(default_factory=dict)
    _started_at: float | None = None

    @classmethod
    def of(cls, now: float, applied: float, soak: float, limits: Limits) -> Watch:
        """`applied` is for how many seconds the site has had the change."""
        return cls(now + max(SHORTEST, limits.handshake - applied), soak, limits)

    def looked(self, now: float, look: Look) -> Result | None:
        """None while nothing can be said yet."""
        if again := self._started_anew(look):
            return Result(Verdict.FAIL, (again,), look)
        seen = self._with_losses(look)
        if seen.verdict is not Verdict.PASS:
            return self._unwell(now, seen)
        self._wrong_since = None
        if self._healthy_since is None:
            self._healthy_since, self._started_at = now, look.started_at
            self._first = {pair.peer: pair for pair in look.pairs}
        return Result(Verdict.PASS, (), seen) if now - self._healthy_since >= self.soak else None

    def _unwell(self, now: float, look: Look) -> Result | None:
        if self._wrong_since is None:
            self._wrong_since = now
        late = now >= self.until if self._healthy_since is None else now - self._wrong_since >= HELD
        return Result(look.verdict, tuple(look.reasons(look.verdict)), look) if late else None

    def _started_anew(self, look: Look) -> str | None:
        """One that comes up again and again is healthy in between."""
        before, now = self._started_at, look.started_at
        if before is None or now is None or now - before <= CLOCK:
            return None
        return f"its guest has started anew {now - before:.0f} s after it was healthy"

    def _with_losses(self, look: Look) -> Look:
        return replace(look, pairs=tuple(self._with_loss(pair) for pair in look.pairs))

    def _with_loss(self, pair: Pair) -> Pair:
        """Since the first look that was well; what a path lost before is no fault of the change's."""
        if (first := self._first.get(pair.peer)) is None or pair.problem or pair.unmeasured:
            return pair
        sent = pair.sent - first.sent
        lost = sent - (pair.answered - first.answered)
        if sent <= 0 or lost <= max(CHANCE, sent * self.limits.loss / 100):
            return pair
        return replace(pair, problem=f"{lost} of {sent} probes were lost, above the limit of {self.limits.loss} %")
