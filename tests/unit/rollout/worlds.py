"""A world for a rollout: stacks with states and histories, hosts that come and go, a runner that is killed anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from wgnode.rollout.facts import Bound, Seen, Told, Verdict
from wgnode.rollout.machine import attempt, decide
from wgnode.rollout.plan import Plan
from wgnode.rollout.refusal import facts
from wgnode.rollout.steps import Apply, Compare, Ended, Gate, Memory, Order, Paused, Step, Undo, Verify

COMMIT, BASE = "c" * 40, "b" * 40
OLD, NEW = {"configuration": "old"}, {"configuration": "new"}
URN = "urn:pulumi:{}::wgmesh::wgnode:index:Site$wgnode:index:Gateway::site-gateway"
WAVES = (("dev-berlin",), ("dev-cabin", "dev-oslo"), ("dev-paris",))
ENOUGH = 400
"""Steps, more than any rollout of a world of ours takes before it ends or pauses."""


class Killed(Exception):
    """The runner died at this moment."""


@dataclass
class Stack:
    """`generation` is its state's: another one after each change, also by hand. `here` is whether its host answers."""

    name: str
    digests: dict[str, str] = field(default_factory=lambda: OLD)
    generation: int = 0
    pending: bool = False
    history: list[Told] = field(default_factory=list)
    here: bool = True

    def seen(self) -> Seen:
        state = {"id": "g", "inputs": str(self.generation), "outputs": ""}
        pending = {"pending": "updating"} if self.pending else {}
        return Seen(self.digests, {URN.format(self.name): {**state, **pending}}, tuple(self.history), self.here)


def plan(*waves: tuple[str, ...], mesh_changes: bool = True, more: tuple[str, ...] = (), **other: object) -> Plan:
    """Of stacks as worlds make them; `more` are stacks that don't change."""
    names = [name for wave in waves for name in wave]
    bound = {name: Bound(OLD, NEW, Stack(name).seen().state) for name in names}
    bound |= {name: Bound(OLD, OLD, Stack(name).seen().state) for name in more}
    bound["dev-mesh"] = Bound(OLD, NEW if mesh_changes else OLD, Stack("dev-mesh").seen().state)
    made = Plan("dev", COMMIT, BASE, "0.1.0", "dev-mesh", None, bound, waves)
    return replace(made, **other)  # type: ignore[arg-type]


class World:
    """`fate(what, stack)` says how each thing turns out: "well", or what goes wrong with it (see the methods)."""

    def __init__(self, plan: Plan, fate: Callable[[str, str], str] = lambda what, stack: "well") -> None:
        self.plan, self.fate = plan, fate
        self.stacks = {name: Stack(name) for name in plan.stacks}
        self.backend = True
        self.needless: list[str] = []
        self.astray: list[str] = []
        """Sites that read a mesh of another commit than their own."""
        self.applied: Counter[str] = Counter()
        self.steps: list[Step] = []

    def seen(self) -> dict[str, Seen | None]:
        return {name: stack.seen() if self.backend else None for name, stack in self.stacks.items()}

    def run(self, order: Order) -> Ended | Paused:
        """Raises Killed; then another run may `resume`, with nothing but what is in the world."""
        memory = Memory()
        for _ in range(ENOUGH):
            now = facts(self.plan, self.seen())
            step = decide(self.plan.course, now, memory, order)
            self.steps.append(step)
            if isinstance(step, Ended | Paused):
                return step
            memory = self._do(step, memory, attempt(now, order))
        raise AssertionError(f"no end: {self.steps[-5:]}")

    def _do(self, step: Step, memory: Memory, number: int) -> Memory:
        if isinstance(step, Apply):
            return memory.after_apply(step, self._changed(step.stacks, Told(COMMIT, False, number)))
        if isinstance(step, Undo):
            return memory.after_undo(step, self._changed(step.stacks, Told(COMMIT, True, number)))
        if isinstance(step, Compare):
            return memory.after_compare({name: self._found("compare", name) for name in step.stacks})
        if isinstance(step, Verify):
            return memory.after_verify({name: self._found("verify", name) for name in step.stacks})
        assert isinstance(step, Gate)
        verdicts = {name: self._found("gate", name) for name in step.stacks}
        words = {"": Verdict.PASS, "fail": Verdict.FAIL}
        return memory.after_gate({name: words.get(said, Verdict.UNMEASURED) for name, said in verdicts.items()})

    def _found(self, what: str, name: str) -> str:
        said = self.fate(what, name)
        if said == "kill":
            raise Killed
        return "" if said == "well" else said

    def _changed(self, names: tuple[str, ...], told: Told) -> dict[str, str]:
        """A runner tells first what it is about to do, so that a change that was cut off is known as its own."""
        failed = {}
        for name in names:
            stack, fate = self.stacks[name], self.fate("undo" if told.undo else "apply", name)
            bound = self.plan.stacks[name]
            digests = dict(bound.before if told.undo else bound.after)
            if fate == "kill before":
                raise Killed
            mesh = self.plan.stacks["dev-mesh"]
            if name != "dev-mesh" and self.stacks["dev-mesh"].digests != (mesh.before if told.undo else mesh.after):
                self.astray.append(name)
            before = stack.history[-1] if stack.history else None
            if stack.digests == digests and not stack.pending and not (told.undo and before and not before.undo):
                self.needless.append(name)  # an undo of what a failure has touched is needed, however it looks
            stack.history.append(told)
            self.applied[name] += 1
            stack.generation += 1
            if fate in ("kill half", "fail half"):
                stack.digests, stack.pending = {"configuration": "half"}, fate == "kill half"
            elif fate in ("kill pending", "fail pending"):
                stack.digests, stack.pending = digests, True
            elif fate != "fail":
                stack.digests, stack.pending = digests, False
            if fate.startswith("kill"):
                raise Killed
            if fate.startswith("fail"):
                failed[name] = "the engine said no"
        return failed

    def at(self, digests: dict[str, str]) -> bool:
        """Whether all that changes is there, but for hosts that are away."""
        sites = [self.stacks[name] for name in self.plan.course.stacks]
        return all(stack.digests == digests and not stack.pending for stack in sites if stack.here)


def told(world: World, kind: type[Step]) -> list[tuple[str, ...]]:
    return [step.stacks for step in world.steps if isinstance(step, kind)]  # type: ignore[attr-defined]


def fates(**words: str):  # type: ignore[no-untyped-def]
    """`apply_oslo="fail"`: so it turns out, and everything else well."""
    return lambda what, stack: words.get(f"{what}_{stack.removeprefix('dev-')}", "well")
