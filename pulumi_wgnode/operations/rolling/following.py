"""How far a plan's stacks are, read from their states alone: whoever ran `pulumi up`, and from which machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.operations import sections
from pulumi_wgnode.operations.rolling import revision
from pulumi_wgnode.operations.rolling.seeing import Eyes
from pulumi_wgnode.operations.rolling.tags import Tags
from pulumi_wgnode.operations.sections import Section, counted
from wgnode.rollout.course import Facts
from wgnode.rollout.facts import Where
from wgnode.rollout.grouping import whose
from wgnode.rollout.plan import Plan
from wgnode.rollout.refusal import facts, refusals

DONE, LEFT = 0, 1
"""Exit codes."""


@dataclass(frozen=True)
class Following:
    """`facts` are of the stacks that change; `unread` says why a state is not known, `against` what speaks against
    going on from here with this plan."""

    plan: Plan
    facts: Facts
    unread: Mapping[str, str] = field(default_factory=dict)
    against: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        left = any(place is not Where.NEW for place in self.facts.places.values())
        return LEFT if left or self.unread else DONE

    @property
    def next(self) -> tuple[str, ...]:
        """The stacks whose turn it is: the mesh, or what is left of the first wave that has any."""
        course = self.plan.course
        groups = [(course.mesh,) if course.mesh else (), *course.waves]
        left = ([stack for stack in group if self.facts.places[stack] is not Where.NEW] for group in groups)
        return next((tuple(stacks) for stacks in left if stacks), ())

    def to_dict(self) -> dict[str, Any]:
        return {
            "environment": self.plan.environment,
            "commit": self.plan.commit,
            "digest": self.plan.digest,
            "stacks": {stack: place.name.lower() for stack, place in self.facts.places.items()},
            "moved": dict(self.facts.moved),
            "unread": dict(self.unread),
            "next": list(self.next),
            "against": list(self.against),
        }


def follow(folder: Path, plan: Plan) -> Following:
    """Asks the engine for each state, and no host."""
    eyes = Eyes(folder, plan, Tags(folder), reach=False)
    eyes.look(plan.stacks)
    return Following(plan, facts(plan, eyes.seen), eyes.unread, tuple(_against(folder, plan)))


def _against(folder: Path, plan: Plan) -> Iterator[str]:
    try:
        commit = revision.commit(folder, "HEAD")
    except ExplainedError as error:
        yield str(error)
        return
    yield from refusals(plan, plan.environment, version("wgnode"), commit)


def text(following: Following) -> str:
    return sections.text(_headline(following), _sections(following))


def _headline(following: Following) -> str:
    places = following.facts.places
    done = sum(place is Where.NEW for place in places.values())
    plan = following.plan
    return f"environment {plan.environment}, commit {plan.commit[:12]}: {done} of {counted(len(places), 'stack')} done"


def _sections(following: Following) -> Iterator[Section]:
    found, course = following.facts, following.plan.course
    if following.against:
        yield Section("Before you go on", following.against)
    told = {**found.moved, **{stack: "" for stack in found.at(Where.MOVED, course.stacks) if stack not in found.moved}}
    moved = {stack: why for stack, why in told.items() if found.places.get(stack) not in (Where.NEW, Where.BETWEEN)}
    if moved:
        lines = tuple(f"{stack}: {why or 'it has another form now'}" for stack, why in moved.items())
        yield Section("Not as the plan was made for; make a new one", lines)
    if following.unread:
        yield Section("Could not be read", tuple(f"{stack}: {why}" for stack, why in following.unread.items()))
    for title, stacks_there in (("Done", found.at(Where.NEW, course.stacks)), ("Next", following.next)):
        if stacks_there:
            yield Section(title, (whose(stacks_there, 5),))
    later = [stack for stack in course.stacks if found.places[stack] is not Where.NEW and stack not in following.next]
    if later:
        yield Section("Then", (whose(later, 5),))
