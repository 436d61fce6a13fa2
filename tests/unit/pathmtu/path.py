"""A path of one direction between a search and a peer that answers: sizes, loss, delay, and schedules of each."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from random import Random

from wgnode.pathmtu.known import Evidence
from wgnode.pathmtu.search import Search

WITNESS = 104
ROUND_TRIP = 0.05


@dataclass
class Path:
    """`mtus` are (from when on, wire bytes); `dark` are (from, to) in which nothing passes. Loss is each way's."""

    mtus: Sequence[tuple[float, int]]
    loss: float = 0.0
    duplicates: float = 0.0
    delay: float = ROUND_TRIP / 2
    jitter: float = 0.0
    dark: Sequence[tuple[float, float]] = ()
    answers: bool = True

    def mtu(self, now: float) -> int:
        return self.mtus[max(0, bisect_right([since for since, _ in self.mtus], now) - 1)][1]

    def is_dark(self, now: float) -> bool:
        return any(since <= now < to for since, to in self.dark)


@dataclass
class Flow:
    """Traffic of our own to the peer: packets of the known size (or of `size`) at a rate, answered by small ones."""

    rate: float
    """Moments a second."""
    packets: int = 1
    """At each of them."""
    since: float = 0.0
    until: float = float("inf")
    size: int = 0
    answered: bool = True


@dataclass
class World:
    """Runs a search over a path, and writes down what it said and cost."""

    search: Search
    path: Path
    random: Random
    flow: Flow | None = None
    now: float = 0.0
    probes: list[tuple[float, int]] = field(default_factory=list)
    ids: list[bytes] = field(default_factory=list)
    values: list[tuple[float, int, Evidence]] = field(default_factory=list)
    traffic: int = 0
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        if self.flow:
            self.at(self.flow.since, self._packet)

    def at(self, when: float, what: Callable[[], None]) -> None:
        heappush(self._events, (when, next(self._order), what))

    def run(self, until: float) -> World:
        while True:
            self._note()
            due = self.search.deadline()
            event = self._events[0][0] if self._events else float("inf")
            if min(due, event) > until:
                self.now = until
                return self
            if event <= due:
                self.now, _, what = heappop(self._events)
                what()
            else:
                self.now = max(self.now, due)
                self._poll()

    def _poll(self) -> None:
        sends = self.search.poll(self.now)
        assert self.search.deadline() > self.now  # a shell that goes by it does not spin
        for send in sends:
            self.probes.append((self.now, send.size))
            self.ids.append(send.id)
            for _ in range(1 + (self.random.random() < self.path.duplicates)):
                self._carry(send.size, lambda probe=send.id: self._answer(probe))

    def _answer(self, probe: bytes) -> None:
        if self.path.answers:
            self._carry(0, lambda: self.search.answered(self.now, probe))

    def _carry(self, size: int, arrived: Callable[[], object]) -> None:
        path, now = self.path, self.now
        if size > path.mtu(now) or path.is_dark(now) or self.random.random() < path.loss:
            return
        self.at(now + path.delay + self.random.random() * path.jitter, lambda: (arrived(), None)[1])

    def _packet(self) -> None:
        assert self.flow
        size = self.flow.size or self.search.known.size
        if self.now < self.flow.until:
            self.traffic += size * self.flow.packets
            self.search.sent(self.now, size * self.flow.packets, size)
            if self.flow.answered:
                self._carry(size, lambda: self._carry(0, lambda: self.search.heard(self.now)))
            self.at(self.now + 1 / self.flow.rate, self._packet)

    def _note(self) -> None:
        known = self.search.known
        if not self.values or self.values[-1][1:] != (known.size, known.evidence):
            self.values.append((self.now, known.size, known.evidence))

    def cost(self, since: float = 0.0) -> int:
        return sum(size for at, size in self.probes if at >= since)

    def too_large(self) -> float:
        """Longest time, in seconds, for which the value was above the path's MTU without a break."""
        marks = sorted({at for at, *_ in self.values} | {at for at, _ in self.path.mtus if at <= self.now} | {self.now})
        longest = since = 0.0
        above = False
        for mark, following in zip(marks, [*marks[1:], self.now], strict=True):
            if self.value(mark) > self.path.mtu(mark):
                since, above = (since, True) if above else (mark, True)
                longest = max(longest, following - since)
            else:
                above = False
        return longest

    def sizes(self, since: float) -> set[int]:
        """All values that held from then on."""
        return {self.value(since)} | {size for at, size, _ in self.values if at > since}

    def value(self, at: float) -> int:
        return [size for since, size, _ in self.values if since <= at][-1]


def world(path: Path, seed: int = 1, flow: Flow | None = None, largest: int = 1500, **search: object) -> World:
    """A search whose handshake is done at time 0."""
    random = Random(seed)
    made = Search(0.0, largest=largest, witness=WITNESS, random=random.randbytes, **search)  # type: ignore[arg-type]
    made.handshake(0.0)
    return World(made, path, random, flow)
