"""What a rollout does to stacks, step by step: the engine's commands, side by side, and the gate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.operations import recorded, stacks
from pulumi_wgnode.operations.gating import judging
from pulumi_wgnode.operations.gating.judging import Expectation
from pulumi_wgnode.operations.rolling import checkout, previews, way_back
from pulumi_wgnode.operations.rolling.engine import Engine, Locked
from pulumi_wgnode.operations.rolling.planning import MeshState
from pulumi_wgnode.operations.rolling.states import SiteState
from pulumi_wgnode.operations.rolling.tags import Tags
from wgnode.rollout.facts import Told
from wgnode.rollout.plan import Plan
from wgnode.rollout.watch import Result
from wgnode.topology.model import Topology

Say = Callable[[str], object]
PREVIEWS = 4
"""Engine plans that are made at once: each is an engine and a plugin, of 300 MB together."""


@dataclass
class Hands:
    """`mesh_plan` is the engine's own plan of the mesh's stack; `patience` (seconds) is for locks of others, and
    `locked` are the stacks at which it was not enough the last time."""

    folder: Path
    plan: Plan
    tags: Tags
    scratch: Path
    say: Say
    patience: float
    mesh_plan: Path | None = None
    locked: frozenset[str] = frozenset()
    _base: Path | None = None
    _topology: Topology | None = None
    _before: dict[str, SiteState] = field(default_factory=dict)
    _expected: dict[str, Expectation] = field(default_factory=dict)
    _exit: ExitStack = field(default_factory=ExitStack)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Hands:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._exit.close()

    def compare(self, names: Iterable[str], state: Callable[[str], Mapping[str, Any]]) -> dict[str, str]:
        """By stack what the engine would do otherwise than planned, "" for nothing. `state` reads a stack's."""
        return self._each(names, partial(self._compared, state), PREVIEWS)

    def apply(self, names: Iterable[str], attempt: int) -> dict[str, str]:
        """By stack why it could not be applied; who could is not in it."""
        return _failed(self._each(names, partial(self._applied, Told(self.plan.commit, False, attempt))))

    def undo(self, names: Iterable[str], attempt: int) -> dict[str, str]:
        """As `apply`, back to the last good commit."""
        return _failed(self._each(names, partial(self._undone, Told(self.plan.commit, True, attempt))))

    def verify(self, names: Iterable[str]) -> dict[str, str]:
        """By stack what a preview against the last good commit would change, "" for nothing."""
        return self._each(names, self._verified, PREVIEWS)

    def gate(self, names: Iterable[str]) -> Mapping[str, Result]:
        plan, chosen = self.plan, list(names)
        known = {name: self._expected.pop(name) for name in chosen if name in self._expected}
        judged = judging.judge(self.folder, chosen, plan.soak, plan.limits, plan, plan.environment, self.say, known)
        return judged.results

    def expect(self, stack: str, deployment: Mapping[str, Any]) -> None:
        """Keep what the gate needs of a state that is as an `up` has just left it."""
        self._expected.pop(stack, None)
        if stack != self.plan.mesh:
            with suppress(ExplainedError):  # which the gate tells
                self._expected[stack] = judging.expectation(stack, deployment, self.plan)

    def remember(self, stack: str, deployment: Mapping[str, Any]) -> None:
        """Keep what `way_back` needs of a state that is as the rollout has found it."""
        with suppress(ExplainedError):  # which whoever looks at it tells
            if stack == self.plan.mesh:
                self._topology = MeshState.of(stack, deployment).topology
            else:
                self._before[stack] = SiteState.of(stack, deployment).for_foreseeing()

    def way_back(self) -> list[str]:
        """Why an undo would not lead to what is deployed now, of a rollout that has changed nothing yet."""
        if self._topology is None:
            return [f"the mesh's stack {self.plan.mesh} could not be read"]
        try:
            return list(way_back.problems(self.base, self.plan, self._topology, self._before))
        except ExplainedError as error:
            return [str(error)]

    @property
    def base(self) -> Path:
        """The project as the last good commit has it. Raises RevisionError."""
        with self._lock:
            if self._base is None:
                self._base = self._exit.enter_context(checkout.of(self.folder, self.plan.base))
            return self._base

    def _compared(self, state: Callable[[str], Mapping[str, Any]], stack: str) -> str:
        return previews.compared(self.folder, self.plan, stack, self._file(stack), state)

    def _applied(self, line: Told, stack: str) -> str:
        engine = Engine(self.folder, self.tags, self.say, self.patience)
        file = self.mesh_plan if stack == self.plan.mesh else self._file(stack)
        engine.up(stack, line, file if file and file.exists() else None)
        self.say(f"{stack}: applied")
        return ""

    def _undone(self, line: Told, stack: str) -> str:
        if self._is_new(stack):
            Engine(self.folder, self.tags, self.say, self.patience).destroy(stack, line)
        else:
            Engine(self.base, self.tags, self.say, self.patience).up(stack, line)
        self.say(f"{stack}: undone")
        return ""

    def _verified(self, stack: str) -> str:
        if not self._is_new(stack):
            return previews.expected_clean(self.base, stack)
        left = recorded.export(self.folder, stack).get("resources") or ()
        return f"{len(left)} resources are left" if left else ""

    def _is_new(self, stack: str) -> bool:
        """Of a site that had never run there is nothing to go back to but its absence."""
        return not self.plan.stacks[stack].before

    def _file(self, stack: str) -> Path:
        return self.scratch / f"{stack.rsplit('/', 1)[-1]}.engine"

    def _each(self, names: Iterable[str], do: Callable[[str], str], at_once: int = 0) -> dict[str, str]:
        chosen = list(names)
        said = dict(zip(chosen, stacks.each(chosen, do, at_once or len(chosen)), strict=True))
        self.locked = frozenset(name for name, one in said.items() if isinstance(one, Locked))
        return {name: str(one) for name, one in said.items()}


def _failed(found: Mapping[str, str]) -> dict[str, str]:
    return {name: why for name, why in found.items() if why}
