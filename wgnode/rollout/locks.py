"""What the engine says of a stack that somebody else has locked, and whether that somebody is proven to be gone."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wgnode.rollout.history import Process

_HELD = re.compile(r"created by (?P<user>[^@\s]*)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<since>[^\s,]+)")
_LOCKED = ("the stack is currently locked", "another update is currently in progress", "Conflict: Another update")


@dataclass(frozen=True)
class Lock:
    user: str
    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"{self.user}@{self.host}, process {self.pid}, since {self.since}"


def is_locked(said: str) -> bool:
    """Whether that is why the engine did nothing."""
    folded = said.lower()
    return any(words.lower() in folded for words in _LOCKED)


def locks(said: str) -> tuple[Lock, ...]:
    """() where the backend does not tell who."""
    return tuple(Lock(one["user"], one["host"], int(one["pid"]), one["since"]) for one in _HELD.finditer(said))


def own_and_dead(
    found: Sequence[Lock],
    writers: Sequence[Process],
    here: Process,
    host: str,
    started: Callable[[int], int | None],
) -> bool:
    """Whether all of these locks are of processes that rollouts announced for this stack (`writers`), and that are
    proven to be gone. `started` tells when the process with a number here started (None: there is none), `host` is this
    machine's name as the engine writes it."""
    gone = {one.pid for one in writers if one.surely_gone(here, started(one.pid))}
    return bool(found) and all(lock.pid in gone and lock.host == host for lock in found)


def told(found: Sequence[Lock]) -> str:
    """Who holds it."""
    return "; ".join(map(str, found)) or "somebody else (the backend does not say who)"
