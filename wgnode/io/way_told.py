"""What is told of a way: to a person, and to a next life."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from wgnode.pathmtu.known import Known


class Unmeasured(StrEnum):
    """Why a way is not searched, for a person."""

    NO_SESSION = "no session"
    NO_TARGET = "no tunnel address to ask: allow the peer a single /32 or /128, or give its probe address"
    NO_SOURCE = "no address of our own by which the peer's tunnel address is reached"


class Learned(NamedTuple):
    """What was proven of the way to a peer. It belongs to its 5-tuple: `own` is our outer address, "" where the routing
    table chooses. `size` is wire bytes, `family` 4 or 6, `since` seconds of the shell's clock."""

    public_key: bytes
    family: int
    own: str
    size: int
    since: float


class Back(NamedTuple):
    """What was shown of the way here: wire bytes, and seconds of the shell's clock."""

    size: int
    since: float


class Report(NamedTuple):
    """For a person: sizes are wire bytes, `inner` what of it packets may have, times seconds of the shell's clock."""

    known: Known
    former: tuple[Known, ...]
    state: str
    family: int
    own: str
    """Our outer address, "" where the routing table chooses."""
    inner: int
    why: str | None
    """What began the present search anew."""
    unmeasured: str | None
    spent: int
    """Bytes of all probes."""
    round_trip: float | None
    """Seconds, smoothed; None before the first answer."""
    small: tuple[int, int]
    """Small probes: sent, and answered."""
    back: Back | None
    """Of the way here; None where nobody asked, and since it has changed."""
