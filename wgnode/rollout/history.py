"""What a rollout writes down with a stack before it changes it: one line, short enough for any backend's tag.

    0c0ffee…40 digits 1 undo, …; by machine boot pidns pid start

The newest line is last. The last two processes that were to change the stack are told too: a lock of one of them, which
is gone, is what a later run may release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wgnode.rollout.facts import Told

LONGEST = 256
"""Characters that the strictest backend takes as a tag's value."""
MOST = 3
"""Commits that are remembered."""
WRITERS = 2
"""Processes that are: one that dies while it waits for the lock of a dead one leaves that lock behind."""
_LINE = re.compile(r"([0-9a-f]{40,64}) ([1-9][0-9]{0,5})( undo)?")
_MARK = "; by "


@dataclass(frozen=True)
class Process:
    """A process so that nobody else can pass for it: `machine`, `boot` and `pidns` (as short digests or numbers), and
    `start` in the kernel's clock ticks since boot, 0 where that is not known."""

    machine: str
    boot: str
    pidns: str
    pid: int
    start: int = 0

    def __str__(self) -> str:
        return f"{self.machine} {self.boot} {self.pidns} {self.pid} {self.start}"

    @classmethod
    def parse(cls, text: str) -> Process | None:
        words = text.split()
        if len(words) != 5 or not (words[3].isdecimal() and words[4].isdecimal()):
            return None
        return cls(words[0], words[1], words[2], int(words[3]), int(words[4]))

    def same_place(self, other: Process) -> bool:
        """Whether process numbers of the two mean the same."""
        return (self.machine, self.boot, self.pidns) == (other.machine, other.boot, other.pidns)

    def surely_gone(self, here: Process, running: int | None) -> bool:
        """Proven dead, as seen from `here`: its machine has booted since, or it is this one and that number is nobody's
        or somebody else's. `running` is when the process with its number here started, None where there is none."""
        if self.machine != here.machine:
            return False
        if self.boot != here.boot:
            return True
        if not self.same_place(here):
            return False
        return running is None or (self.start > 0 and running != self.start)


@dataclass(frozen=True)
class History:
    """Of one stack; `by` is who wrote last."""

    lines: tuple[Told, ...] = ()
    by: tuple[Process, ...] = ()

    def told(self, told: Told, by: Process) -> History:
        """With one more; of each commit only the last is kept."""
        kept = [one for one in self.lines if one.commit != told.commit]
        return History((*kept, told)[-MOST:], (*self.by, by)[-WRITERS:])

    def to_text(self) -> str:
        lines = ", ".join(f"{one.commit} {one.attempt}{' undo' if one.undo else ''}" for one in self.lines)
        return lines + "".join(f"{_MARK}{one}" for one in self.by)

    @classmethod
    def parse(cls, text: str) -> History:
        """What can't be read is left out: somebody else has written it."""
        lines, *by = text.split(_MARK)
        found = (_LINE.fullmatch(one.strip()) for one in lines.split(","))
        told = tuple(Told(one[1], bool(one[3]), int(one[2])) for one in found if one)
        return cls(told, tuple(one for words in by if (one := Process.parse(words))))
