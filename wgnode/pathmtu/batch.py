"""Probes that are under way together, and what is said about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from wgnode.pathmtu.roundtrip import RoundTrip


class Step(Enum):
    """What a batch is to find out."""

    SEARCH = auto()
    CONFIRM = auto()
    """Does the present size still pass?"""
    FALL = auto()
    """It was lost as often as counts: which smaller one passes?"""
    RAISE = auto()
    """Has the path grown?"""


@dataclass(frozen=True)
class Send:
    """Send a probe of `size` wire bytes under this id, now."""

    id: bytes
    size: int


@dataclass
class Batch:
    """Sizes in ascending order and a witness after them: a small probe.

    A missing answer says something only beside one that came. So nothing is judged too large while a path is down, or
    slow: what was sent before the witness and is not there a little after its answer is lost.
    """

    step: Step
    sizes: list[int]
    witness: int
    """Wire bytes of a small probe."""
    witnesses: int
    """How many of them: two where nothing else may be answered, and a lost one would cost a timeout."""
    at: float
    """When it is sent: a fleet takes turns."""
    due: float = 0.0
    """When it is judged."""
    sent: bool = False
    sent_at: float = 0.0
    alive: bool = False
    """Something of it was answered."""
    passed: set[int] = field(default_factory=set)
    """Sizes that were answered."""
    _open: dict[bytes, int] = field(default_factory=dict)
    _refused: set[int] = field(default_factory=set)

    def cost(self) -> int:
        return sum(self.sizes) + self.witness * self.witnesses

    def send(self, now: float, fresh: Callable[[], bytes], trip: RoundTrip) -> list[Send]:
        """`fresh` makes an id."""
        self.sent, self.sent_at, self.due = True, now, now + trip.timeout()
        sends = [Send(fresh(), size) for size in (*self.sizes, *[self.witness] * self.witnesses)]
        self._open = {send.id: send.size for send in sends}
        return sends

    def holds(self, probe: bytes) -> bool:
        """Is this one of its own, still without an answer?"""
        return probe in self._open

    def answer(self, probe: bytes, now: float, trip: RoundTrip) -> None:
        """One of its own was answered: wait for the others no longer than paths reorder."""
        size = self._open.pop(probe)
        self.alive = True
        self.passed.add(size)
        if size == self.witness:
            self.due = min(self.due, now + trip.grace(now - self.sent_at))
        self._due_when_all_is_said(now)

    def forget(self, probe: bytes, now: float, *, refused: bool) -> None:
        """It was not sent: refused for its size, which is as good as lost, or for a reason that says nothing."""
        size = self._open.pop(probe)
        if refused:
            self._refused.add(size)
        self._due_when_all_is_said(now)

    def lost(self) -> list[int]:
        """What was not answered, witness left out, ascending."""
        return sorted({*self._missing(), *self._refused})

    def lossy(self) -> bool:
        """Was a small one lost although something was answered?"""
        return self.alive and self.witness in self._open.values()

    def _missing(self) -> list[int]:
        return [size for size in self._open.values() if size != self.witness]

    def _due_when_all_is_said(self, now: float) -> None:
        if not self._open or (self.alive and not self._missing()):
            self.due = now
