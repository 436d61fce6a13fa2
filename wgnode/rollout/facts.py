"""What a rollout knows of a stack, and where that is: read anew each time, from the backend and the hosts.

Nothing says "done" by itself. A stack is where its outputs and its state show it to be, so that whoever looks, from
whatever machine and after whatever end of the run before, comes to the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from wgnode.rollout.fingerprint import Fingerprint, unfinished
from wgnode.rollout.picture import Digests


class Where(Enum):
    OLD = "as before the rollout"
    NEW = "as the rollout wants it"
    BETWEEN = "where this rollout left it in the middle"
    MOVED = "changed by somebody else"
    UNKNOWN = "its state could not be read"


class Verdict(Enum):
    PASS = "pass"  # noqa: S105 (a verdict)
    FAIL = "fail"
    UNMEASURED = "could not be measured"


@dataclass(frozen=True)
class Told:
    """A line of a stack's history that a rollout wrote: the change to `commit`, or its `undo`. The same commit is tried
    again, where a person asks for it, as the next `attempt`."""

    commit: str
    undo: bool = False
    attempt: int = 1


@dataclass(frozen=True)
class Bound:
    """What a plan holds of a stack: digests of its public parts before and after, and its state as it was."""

    before: Digests
    after: Digests
    state: Fingerprint


@dataclass(frozen=True)
class Seen:
    """A stack as it is now; `digests` with what the plan could not know left out, `history` newest last.

    `reachable` is whether its host answers, of a mesh's stack always true.
    """

    digests: Digests
    state: Fingerprint
    history: Sequence[Told] = ()
    reachable: bool = True

    def ours(self, commit: str) -> bool:
        """Whether the last that a rollout did here was of this commit."""
        return bool(self.history) and self.history[-1].commit == commit

    def undone(self, commit: str) -> bool:
        """Whether that was the way back."""
        return self.ours(commit) and self.history[-1].undo


def where(bound: Bound, seen: Seen | None, commit: str) -> Where:
    """Of a stack that changes.

    A person may have run `pulumi up` meanwhile: what came out as wanted is as good as ours. Once a rollout has touched
    a stack, its state is no longer the one that the plan bound (what rests in a mesh, a new boot's identity); from then
    on what it makes public decides. A state that was unfinished when the plan was made is old as it was; where nothing
    else was to be changed, old and new look alike, and the history tells them apart.
    """
    if seen is None:
        return Where.UNKNOWN
    whole, before = not unfinished(seen.state), seen.digests == bound.before
    if whole and seen.digests == bound.after and not (before and seen.undone(commit)):
        return Where.NEW
    if before and (seen.state == bound.state or (whole and seen.ours(commit))):
        return Where.OLD
    return Where.BETWEEN if seen.ours(commit) else Where.MOVED


def attempts(stacks: Mapping[str, Seen | None], commit: str) -> tuple[int, bool]:
    """(the last attempt to roll out this commit, whether its undo has begun); (0, False) before the first."""
    told = [one for seen in stacks.values() for one in (seen.history if seen else ()) if one.commit == commit]
    last = max((one.attempt for one in told), default=0)
    return last, any(one.undo for one in told if one.attempt == last)
