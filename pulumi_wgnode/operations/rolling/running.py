"""A rollout from where the world stands to its end, or to where a person has to decide.

What is to be done next is the state machine's (wgnode/rollout/machine.py), asked after every step with facts that were
looked up anew. Nothing of what this run remembers has to survive it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.operations.rolling.hands import Hands
from pulumi_wgnode.operations.rolling.seeing import Eyes
from wgnode.rollout.course import Facts
from wgnode.rollout.facts import Verdict, Where
from wgnode.rollout.machine import attempt, decide
from wgnode.rollout.plan import Plan
from wgnode.rollout.refusal import facts, moved
from wgnode.rollout.steps import Apply, Compare, Ended, Gate, Memory, Order, Paused, Step, Undo, Verify

POINTS = ("looked", "decided", "done")
"""Moments of each step at which a run may die; tests do that at each. (In the middle of a change its engine does.)"""


class RefusedError(ExplainedError):
    """Nothing was done; the text says why."""


@dataclass
class Run:
    """`check` raises where this run is no longer the one that runs; `event` gets each step and what came of it."""

    plan: Plan
    eyes: Eyes
    hands: Hands
    order: Order
    check: Callable[[], object]
    event: Callable[[Step, Facts], object]
    say: Callable[[str], object]
    memory: Memory = field(default_factory=Memory)
    took: dict[str, float] = field(default_factory=dict)
    """By stack, seconds that its change took."""
    gated: dict[str, str] = field(default_factory=dict)
    """By stack, what its gate said."""

    def go(self) -> Ended | Paused:
        """`check` going wrong pauses: nothing that was done is lost by that. Raises RefusedError before it begins."""
        self.eyes.look(self.plan.stacks, self.hands.remember)
        if against := "; ".join(self._against()):
            raise RefusedError(f"not as the plan was made for: {against}; make a new plan")
        if self._begins():
            for line in self.hands.way_back():
                self.say(f"no whole way back: {line}")
        while True:
            now = facts(self.plan, self.eyes.seen)
            self.at("looked")
            step = decide(self.plan.course, now, self.memory, self.order)
            self.event(step, now)
            if isinstance(step, Ended | Paused):
                return self._with_reasons(step)
            self.at("decided")
            try:
                self.check()
            except ExplainedError as error:
                return Paused(str(error))
            self.memory = self._do(step, attempt(now, self.order))
            self.at("done")
            self._look_again(step)
            self.memory = self._judged(step, facts(self.plan, self.eyes.seen))

    def at(self, point: str) -> None:
        """One of POINTS is reached."""

    def _against(self) -> Iterator[str]:
        """Of a rollout that has not begun: what somebody changed since the plan, also where nothing was to happen."""
        if not self._begins():
            return
        now = facts(self.plan, self.eyes.seen)
        for stack, why in moved(self.plan, self.eyes.seen).items():
            if now.places.get(stack) not in (Where.NEW, Where.OLD):
                yield f"stack {stack}: {why}"

    def _begins(self) -> bool:
        now = facts(self.plan, self.eyes.seen)
        return self.order == "again" or (self.order == "run" and not now.attempt)

    def _look_again(self, step: Compare | Apply | Gate | Undo | Verify) -> None:
        """At what the step may have changed: a gate changes no stack, and a comparison has just read them itself. What
        an `up` leaves is what its gate judges by."""
        if isinstance(step, Compare | Gate):
            self.eyes.look_at_hosts(step.stacks)
            self.eyes.look(self.eyes.away)
            return

        def use(stack: str, deployment: Mapping[str, Any]) -> None:
            if isinstance(step, Apply) and stack in step.stacks:
                self.hands.expect(stack, deployment)

        self.eyes.look([*step.stacks, *self.eyes.away], use)

    def _do(self, step: Step, number: int) -> Memory:
        memory, hands = self.memory, self.hands
        if isinstance(step, Compare):
            return memory.after_compare(hands.compare(step.stacks, self.eyes.state))
        if isinstance(step, Verify):
            return memory.after_verify(hands.verify(step.stacks))
        if isinstance(step, Gate):
            return self._gate(step)
        began = time.monotonic()
        if isinstance(step, Apply):
            memory = memory.after_apply(step, hands.apply(step.stacks, number), hands.locked)
        else:
            assert isinstance(step, Undo)
            memory = memory.after_undo(step, hands.undo(step.stacks, number))
        self.took |= dict.fromkeys(step.stacks, time.monotonic() - began)
        self._tell({stack: why for stack, why in memory.failed.items() if stack in step.stacks})
        return memory

    def _gate(self, step: Gate) -> Memory:
        found = self.hands.gate(step.stacks)
        self.gated |= {stack: "; ".join(result.why) for stack, result in found.items()}
        return self.memory.after_gate({stack: result.verdict for stack, result in found.items()})

    def _judged(self, step: Step, now: Facts) -> Memory:
        """A change that succeeded and did not come to what was planned has failed: doing it again would not help."""
        if not isinstance(step, Apply | Undo):
            return self.memory
        wanted = Where.NEW if isinstance(step, Apply) else Where.OLD
        other = [s for s in step.stacks if s not in self.memory.failed and now.places[s] not in (wanted, Where.UNKNOWN)]
        if not other:
            return self.memory
        what = "the plan" if wanted is Where.NEW else "the last good commit as it was deployed"
        why = {
            stack: f"its `up` succeeded, but it is not as {what} wants it ({self._differs(stack)})" for stack in other
        }
        self._tell(why)
        if isinstance(step, Apply):
            return self.memory.after_apply(Apply(tuple(other)), why)
        return self.memory.after_undo(Undo(tuple(other), step.why), why)

    def _tell(self, failed: Mapping[str, str]) -> None:
        for stack, why in failed.items():
            self.say(f"{stack}: failed: {why}")

    def _differs(self, stack: str) -> str:
        seen, bound = self.eyes.seen.get(stack), self.plan.stacks[stack]
        wanted = bound.before if self.memory.back else bound.after
        found = seen.digests if seen else {}
        return "other " + ", ".join(sorted(part for part in wanted if wanted[part] != found.get(part)) or ["parts"])

    def _with_reasons(self, end: Ended | Paused) -> Ended | Paused:
        """A pause names what gates and the backend have said."""
        if isinstance(end, Ended):
            return end
        told = [f"{stack}: {why}" for stack, why in (*self.eyes.unread.items(), *self._gate_reasons())]
        return Paused("; ".join([end.why, *told]), end.owed)

    def _gate_reasons(self) -> Iterable[tuple[str, str]]:
        bad = {stack for stack, verdict in self.memory.verdicts.items() if verdict is not Verdict.PASS}
        return [(stack, why) for stack, why in self.gated.items() if why and stack in bad]
