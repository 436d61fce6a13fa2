"""Probes of one search that are under way: how a batch is made and sent, and whose an answer is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wgnode.pathmtu.batch import Batch, Send, Step
from wgnode.pathmtu.flight import ID_LENGTH, Flight
from wgnode.pathmtu.roundtrip import RoundTrip
from wgnode.pathmtu.small import Small
from wgnode.pathmtu.stagger import Gate


class UnderWay:
    """At most one batch at a time, and of former ones what may still be answered. For the arguments see Search."""

    def __init__(self, witness: int, random: Callable[[int], bytes], gate: Gate) -> None:
        self._witness, self._random, self._gate = witness, random, gate
        self.batch: Batch | None = None
        self.trip = RoundTrip()
        self.small = Small()
        self._flight = Flight()

    def cost(self, sizes: Sequence[int], witnesses: int) -> int:
        """Wire bytes."""
        return sum(sizes) + self._witness * witnesses

    def make(self, now: float, step: Step, sizes: Sequence[int], witnesses: int) -> None:
        at = self._gate(now, self.cost(sizes, witnesses))
        self.batch = Batch(step, list(sizes), self._witness, witnesses, at)

    def send(self, now: float, batch: Batch) -> list[Send]:
        sends = batch.send(now, lambda: self._random(ID_LENGTH), self.trip)
        for send in sends:
            self._flight.start(send.id, send.size, now)
            if send.size == self._witness:
                self.small.start(send.id, now)
        return sends

    def answered(self, now: float, probe: bytes) -> int | None:
        """The size that is proven by a reply; None where no probe with this id is under way."""
        self.small.land(probe)
        flown = self._flight.land(probe, now)
        if flown is None:
            return None
        self.trip.sample(now - flown.at)
        if self.batch and self.batch.holds(probe):
            self.batch.answer(probe, now, self.trip)
        return flown.size

    def unsent(self, now: float, probe: bytes, *, refused: bool) -> int | None:
        """It was not sent, `refused` for its size, which this returns unless it is of a former path."""
        self.small.drop(probe)
        flown = self._flight.land(probe, now)
        if self.batch and self.batch.holds(probe):
            self.batch.forget(probe, now, refused=refused)
        return flown and flown.size

    def small_alive(self) -> None:
        """A small packet of ours was answered just now: a witness for what is under way."""
        if self.batch and self.batch.sent:
            self.batch.alive = True

    def end(self) -> Batch | None:
        """The batch, which is to be judged or given up. Late answers still count."""
        batch, self.batch = self.batch, None
        return batch

    def forget(self) -> None:
        """The path has changed: what was sent over the former proves nothing."""
        self._flight.clear()

    def give_up(self, now: float) -> None:
        """All of it, small ones too: another search begins."""
        self.batch = None
        self.forget()
        self.small.clear(now, self.trip.timeout())
