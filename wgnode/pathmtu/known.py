"""What is known of one direction of one peer's path, what vouches for it, and how it came to be."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

HISTORY = 16
"""Changes that are remembered."""


class Evidence(StrEnum):
    """What vouches for a size."""

    PROBE = "probe"
    """A probe of this size was answered over this very path."""
    ECHO = "echo"
    """Of a peer's way here: its reply to an echo that is large both ways came in one piece."""
    HINT = "hint"
    """Somebody on the way said so, and the peer answers no probes."""
    PROFILE = "profile"
    """The carrier's profile says so; not tried yet."""
    MEMORY = "memory"
    """It was so the last time; not tried yet."""
    UNKNOWN = "unknown"
    """Nothing does: the size is the last one, or what most paths carry."""


class State(StrEnum):
    """RFC 8899 section 5.2, by its words."""

    DISABLED = "disabled"
    """No session, or nobody who would answer a probe."""
    BASE = "base"
    """Nothing was answered over this path yet."""
    SEARCHING = "searching"
    COMPLETE = "search_complete"
    ERROR = "error"
    """Small packets live, BASE does not: sizes below it are searched."""


class Why(StrEnum):
    """What made a search begin anew."""

    ENDPOINT = "endpoint"
    FAMILY = "family"
    ROUTE = "route"
    KEY = "key"
    ASKED = "asked"
    """Somebody wants to see it."""


@dataclass(frozen=True)
class Guess:
    """A size to begin with, and whose it is: Evidence.PROFILE or Evidence.MEMORY."""

    size: int
    evidence: Evidence


@dataclass(frozen=True)
class Known:
    """`size` is the limit to send by, wire bytes; `since` is in seconds of the shell's clock."""

    size: int
    evidence: Evidence
    since: float


class History:
    """The present value and what it was before."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self._former: deque[Known] = deque(maxlen=HISTORY)

    def set(self, size: int, evidence: Evidence, now: float) -> None:
        """Nothing happens where it says the same as before."""
        if (size, evidence) != (self.known.size, self.known.evidence):
            self._former.append(self.known)
            self.known = Known(size, evidence, now)

    def former(self) -> tuple[Known, ...]:
        """Oldest first, without the present one."""
        return tuple(self._former)
