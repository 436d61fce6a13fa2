"""What a rollout does next: one of these, and all that its stacks may be told of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from wgnode.rollout.facts import Verdict

Order = Literal["run", "again", "resume", "undo"]
"""What a person asked for: a plan's first run, one more of a commit that was undone, the rest of a rollout that was
paused or cut off, or the way back."""


@dataclass(frozen=True)
class Compare:
    """Make these stacks' engine plans and compare them with what was predicted."""

    stacks: tuple[str, ...]


@dataclass(frozen=True)
class Apply:
    """Apply the commit to these stacks, side by side."""

    stacks: tuple[str, ...]


@dataclass(frozen=True)
class Gate:
    """Judge the health of these, which run the change."""

    stacks: tuple[str, ...]


@dataclass(frozen=True)
class Undo:
    """Apply the last good commit to these stacks, side by side, because of `why`."""

    stacks: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Verify:
    """Preview these, which are undone, against the last good commit."""

    stacks: tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    """All is at the new commit, or at the old one; but for the sites that are `owed` it, each with the reason."""

    new: bool
    owed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Paused:
    """Nothing more happens until a person says `resume` or `undo`."""

    why: str
    owed: Mapping[str, str] = field(default_factory=dict)


Step = Compare | Apply | Gate | Undo | Verify | Ended | Paused


@dataclass(frozen=True)
class Memory:
    """What a run has found out, by stack. It may be lost with the run: then all of it is found out again.

    `compared` and `clean` are what differs ("" for nothing), `failed` why a stack could not be applied or undone,
    `locked` those of them that somebody else had locked for too long. `back` is why the run has turned round.
    """

    compared: Mapping[str, str] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()
    clean: Mapping[str, str] = field(default_factory=dict)
    back: str | None = None

    def after_compare(self, found: Mapping[str, str]) -> Memory:
        return replace(self, compared={**self.compared, **found})

    def after_gate(self, found: Mapping[str, Verdict]) -> Memory:
        return replace(self, verdicts={**self.verdicts, **found})

    def after_verify(self, found: Mapping[str, str]) -> Memory:
        return replace(self, clean={**self.clean, **found})

    def after_apply(self, step: Apply, failed: Mapping[str, str], locked: Collection[str] = ()) -> Memory:
        """What was known of these stacks was of what they were before."""
        kept = {name: why for name, why in self.failed.items() if name not in step.stacks}
        verdicts = {name: one for name, one in self.verdicts.items() if name not in step.stacks}
        held = self.locked.difference(step.stacks).union(locked)
        return replace(self, failed={**kept, **failed}, locked=held, verdicts=verdicts)

    def after_undo(self, step: Undo, failed: Mapping[str, str]) -> Memory:
        kept = {name: why for name, why in self.failed.items() if name not in step.stacks} if self.back else {}
        clean = {name: one for name, one in self.clean.items() if name not in step.stacks}
        return replace(self, failed={**kept, **failed}, clean=clean, back=self.back or step.why)
