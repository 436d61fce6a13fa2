"""What came of a run, for people and programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi_wgnode.operations import sections
from pulumi_wgnode.operations.rolling.progress import STANDS, told
from pulumi_wgnode.operations.sections import Section
from wgnode.rollout.facts import Where
from wgnode.rollout.grouping import whose
from wgnode.rollout.plan import Plan
from wgnode.rollout.steps import Ended, Order, Paused

THERE, WENT_BACK, REFUSED, PAUSED = 0, 1, 2, 3
"""Exit codes: where it was asked to go; back by itself; nothing was done; a person has to decide."""


@dataclass(frozen=True)
class Outcome:
    """`places`, `took` (seconds) and `gates` are by stack; `events` are (seconds, line)."""

    plan: Plan
    order: Order
    end: Ended | Paused
    places: Mapping[str, Where]
    took: Mapping[str, float] = field(default_factory=dict)
    gates: Mapping[str, str] = field(default_factory=dict)
    events: tuple[tuple[float, str], ...] = ()

    @property
    def exit_code(self) -> int:
        if isinstance(self.end, Paused):
            return PAUSED
        return THERE if self.end.new or self.order == "undo" else WENT_BACK

    @property
    def word(self) -> str:
        if isinstance(self.end, Paused):
            return "paused"
        return "done" if self.end.new else "undone"

    def to_dict(self) -> dict[str, Any]:
        return {
            "environment": self.plan.environment,
            "commit": self.plan.commit,
            "base": self.plan.base,
            "digest": self.plan.digest,
            "order": self.order,
            "outcome": self.word,
            "why": self.end.why if isinstance(self.end, Paused) else None,
            "owed": dict(self.end.owed),
            "stacks": {stack: place.name.lower() for stack, place in self.places.items()},
            "seconds": {stack: round(seconds, 1) for stack, seconds in self.took.items()},
            "gates": dict(self.gates),
            "events": [{"seconds": seconds, "line": line} for seconds, line in self.events],
        }


def text(outcome: Outcome) -> str:
    return sections.text(_headline(outcome), _sections(outcome))


def markdown(outcome: Outcome) -> str:
    return sections.markdown("wgnode rollout", _headline(outcome), _sections(outcome))


def _headline(outcome: Outcome) -> str:
    plan = outcome.plan
    return f"environment {plan.environment}, commit {plan.commit[:12]}: {told(outcome.end)}"


def _sections(outcome: Outcome) -> Iterator[Section]:
    if outcome.end.owed:
        yield Section("Owed", tuple(f"{stack}: {why}" for stack, why in outcome.end.owed.items()))
    if isinstance(outcome.end, Paused):
        yield Section("To go on", ("`wgnode rollout resume PLAN`, or back: `wgnode rollout undo PLAN`",))
    for place in Where:
        if there := tuple(stack for stack, where in outcome.places.items() if where is place):
            yield Section(STANDS[place].capitalize(), (whose(there, 8),))
    wrong = tuple(f"{stack}: {why}" for stack, why in outcome.gates.items() if why)
    if wrong:
        yield Section("What gates said", wrong)
    yield Section("What happened", tuple(f"{seconds:7.1f} s  {line}" for seconds, line in outcome.events))
