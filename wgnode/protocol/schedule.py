"""One schedule of many deadlines, in seconds of the shell's clock."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Generic, Protocol, TypeVar

NEVER = float("inf")

HEAP_SLACK = 64
"""Items that the heap may hold beyond twice those of use, before it is tidied up."""


class Scheduled(Protocol):
    """What has deadlines, NEVER where it has none now."""

    scheduled: float
    """When the schedule looks at it: the schedule's own."""

    def earliest(self) -> float:
        """Its next deadline."""

    def reschedule(self) -> None:
        """Add itself again if its next deadline is before `scheduled`."""


Entry = TypeVar("Entry", bound=Scheduled)


class Schedule(Generic[Entry]):
    """When to look at which entry next: a heap with one item for each entry that has a deadline.

    Disarming and postponing, which every packet does, leave the heap alone: an item that comes up early is put
    back at its entry's real deadline. What became stale is cleared away before it makes up more than half of the
    heap: a peer that answers each packet by a keepalive would else leave an item for each behind, for minutes.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Entry]] = []
        self._ties = count()
        self._limit = HEAP_SLACK

    def __len__(self) -> int:
        """Items, stale ones included."""
        return len(self._heap)

    def add(self, entry: Entry, deadline: float) -> None:
        """An earlier item than the entry had; the later one becomes stale."""
        entry.scheduled = deadline
        heappush(self._heap, (deadline, next(self._ties), entry))
        if len(self._heap) > self._limit:
            self._tidy()

    def is_due(self, now: float) -> bool:
        """Whether something may be: as cheap as a question can be."""
        return bool(self._heap) and self._heap[0][0] <= now

    def due(self, now: float, at_most: int) -> Iterator[Entry]:
        """Take out what is due, longest due first. The rest, and what gets due meanwhile, waits for another call."""
        due: list[Entry] = []
        while self._heap and self._heap[0][0] <= now and len(due) < at_most:
            deadline, _, entry = heappop(self._heap)
            if deadline == entry.scheduled:
                entry.scheduled = NEVER
                due.append(entry)
        for entry in due:
            yield entry
            entry.reschedule()

    def next_deadline(self, before: float = NEVER) -> float | None:
        """Not after any entry's deadline. None when nothing is armed, or nothing before that time."""
        while self._heap and self._heap[0][0] < before:
            deadline, _, entry = self._heap[0]
            if deadline == entry.scheduled and entry.earliest() <= deadline:
                return deadline
            heappop(self._heap)
            if deadline == entry.scheduled:
                entry.scheduled = NEVER
                entry.reschedule()
        return None

    def _tidy(self) -> None:
        """Keep one item for each entry that has a deadline; costs a constant for each item added since."""
        self._heap = list({item[2]: item for item in self._heap if item[0] == item[2].scheduled}.values())
        heapify(self._heap)
        self._limit = 2 * len(self._heap) + HEAP_SLACK
