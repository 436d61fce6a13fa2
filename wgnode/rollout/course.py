"""The course of a rollout, and where its stacks are on it: what both ways, forward and back, judge by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wgnode.rollout.facts import Where
from wgnode.rollout.policy import Reaction


@dataclass(frozen=True)
class Course:
    """`mesh` is the mesh's stack where it changes; `waves` are of stacks that change, first the canary, which may be
    empty. `outages` start a new guest; `unavailable` is a number of sites."""

    commit: str
    mesh: str | None
    waves: tuple[tuple[str, ...], ...]
    outages: frozenset[str] = frozenset()
    parallel: int = 1
    unavailable: int = 1
    canary_failure: Reaction = "undo"
    later_failure: Reaction = "pause"

    @property
    def sites(self) -> tuple[str, ...]:
        return tuple(stack for wave in self.waves for stack in wave)

    @property
    def stacks(self) -> tuple[str, ...]:
        return (*([self.mesh] if self.mesh else []), *self.sites)


@dataclass(frozen=True)
class Facts:
    """`places` has every stack of the course, `away` those whose hosts don't answer; `attempt` is the last one that any
    stack's history tells of (0: none), `undoing` that its undo has begun; `ours` are the stacks that it touched, and
    `undone` those of them at which it went back."""

    places: Mapping[str, Where]
    away: frozenset[str] = frozenset()
    attempt: int = 0
    undoing: bool = False
    ours: frozenset[str] = frozenset()
    undone: frozenset[str] = frozenset()
    moved: Mapping[str, str] = field(default_factory=dict)

    def at(self, where: Where, of: Iterable[str]) -> tuple[str, ...]:
        return tuple(stack for stack in of if self.places[stack] is where)

    def here(self, stacks: Iterable[str]) -> tuple[str, ...]:
        return tuple(stack for stack in stacks if stack not in self.away)


def unclear(course: Course, facts: Facts) -> str | None:
    """Why nothing can be decided: a state that can't be read, or that somebody else has changed."""
    if unknown := facts.at(Where.UNKNOWN, course.stacks):
        return f"the state of {', '.join(unknown)} could not be read, so nobody knows what is done; see to the backend"
    if moved := facts.at(Where.MOVED, course.stacks):
        told = "; ".join(f"stack {stack}: {facts.moved.get(stack, 'its state is another one')}" for stack in moved)
        return f"somebody else has changed what the plan was made for: {told}; make a new plan"
    return None


def batch(course: Course, stacks: Iterable[str], owed: int) -> tuple[str, ...]:
    """As many at once as may be: of those that are without a tunnel meanwhile, with the owed ones, not more than may
    be unavailable; but always one, since a rollout that waits for an owed site would wait for ever."""
    room = max(1, course.unavailable - owed)
    chosen: list[str] = []
    for stack in stacks:
        if len(chosen) == course.parallel:
            break
        if stack in course.outages:
            if not room:
                continue
            room -= 1
        chosen.append(stack)
    return tuple(chosen)


def named(stacks: Iterable[str], why: Mapping[str, str] | None = None) -> str:
    """ "dev-berlin (no answer), dev-cabin"."""
    return ", ".join(f"{stack} ({why[stack]})" if why and why.get(stack) else stack for stack in stacks)


def waits(course: Course, owed: Mapping[str, str]) -> str | None:
    """Why the rollout waits for those that are owed."""
    if len(owed) <= course.unavailable:
        return None
    return (
        f"owed: {named(sorted(owed), owed)}; maxUnavailable allows {course.unavailable} at once: bring them back, or"
        " allow more, and say resume"
    )
