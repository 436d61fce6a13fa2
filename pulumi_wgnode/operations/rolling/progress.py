"""A rollout while it goes on: a table that is drawn anew on a terminal, lines everywhere else."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TextIO

from wgnode.rollout.course import Course, Facts
from wgnode.rollout.facts import Where
from wgnode.rollout.grouping import whose
from wgnode.rollout.steps import Apply, Compare, Ended, Gate, Paused, Step, Undo, Verify

DOING: Mapping[type, str] = {
    Compare: "engine plan",
    Apply: "up",
    Gate: "gate",
    Undo: "undo",
    Verify: "verify",
}
STANDS = {
    Where.OLD: "as before",
    Where.NEW: "done",
    Where.BETWEEN: "in the middle",
    Where.MOVED: "moved",
    Where.UNKNOWN: "?",
}
RECENT = 6
"""Lines below the table."""


@dataclass
class Progress:
    """`events` are all lines that were told, each with the seconds since the beginning. Safe in any thread."""

    course: Course
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    live: bool = False
    events: list[tuple[float, str]] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _drawn: int = 0
    _facts: Facts | None = None
    _step: Step | None = None

    def say(self, line: str) -> None:
        with self._lock:
            self.events.append((round(time.monotonic() - self._began, 1), line))
            if self.live:
                self._draw()
            else:
                self.stream.write(f"{_clock(self.events[-1][0])} {line}\n")
                self.stream.flush()

    def step(self, step: Step, facts: Facts) -> None:
        self._facts, self._step = facts, step
        self.say(told(step))

    def _draw(self) -> None:
        """Over what was drawn the last time."""
        width = shutil.get_terminal_size().columns
        lines = [line[: width - 1] for line in self._lines()]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self.stream.write(up + "".join(f"\x1b[2K{line}\n" for line in lines) + "\x1b[J")
        self.stream.flush()
        self._drawn = len(lines)

    def _lines(self) -> Iterator[str]:
        groups: list[tuple[str, tuple[str, ...]]] = [("mesh", (self.course.mesh,) if self.course.mesh else ())]
        groups += [(f"wave {number}" if number else "canary", wave) for number, wave in enumerate(self.course.waves)]
        rows = max(4, shutil.get_terminal_size().lines - RECENT - 2)
        shown = [f"{title:8} {stack}: {self._stands(stack)}" for title, wave in groups for stack in wave]
        yield from shown[:rows]
        if len(shown) > rows:
            yield f"… and {len(shown) - rows} more"
        yield from (f"{_clock(at)} {line}" for at, line in self.events[-RECENT:])

    def _stands(self, stack: str) -> str:
        if self._step is not None and type(self._step) in DOING and stack in getattr(self._step, "stacks", ()):
            return f"{DOING[type(self._step)]} …"
        if self._facts is None:
            return "…"
        away = ", its host is away" if stack in self._facts.away else ""
        return STANDS[self._facts.places[stack]] + away


def told(step: Step) -> str:
    """In a line."""
    if isinstance(step, Ended):
        return "all is at the new commit" if step.new else "all is back at the last good commit"
    if isinstance(step, Paused):
        return f"paused: {step.why}"
    words = {
        Compare: "compares the engine's plan of {} with what was predicted",
        Apply: "applies the change to {}",
        Gate: "judges the health of {}",
        Undo: "goes back at {}",
        Verify: "previews {} against the last good commit",
    }
    why = f" ({step.why})" if isinstance(step, Undo) else ""
    return words[type(step)].format(whose(step.stacks, 8)) + why


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:3d}:{int(seconds) % 60:02d}"
