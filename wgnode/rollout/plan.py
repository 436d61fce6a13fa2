"""A rollout's plan as a value: what it binds, what it will do, and for which world it was made.

Canonical JSON with a format: the same plan always has the same bytes, hence the same digest, which is what is approved.
Nothing in it is secret.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from wgnode import formats
from wgnode.nodeconfig import canonical
from wgnode.rollout.course import Course
from wgnode.rollout.facts import Bound
from wgnode.rollout.grouping import Group
from wgnode.rollout.picture import Unknown
from wgnode.rollout.policy import Limits, Reaction

FORMAT = 1


class PlanError(ValueError):
    """The file is no plan of this version."""


@dataclass(frozen=True)
class Plan:
    """`commit` is the change and `base` the commit that an undo goes back to; `version` is wgnode's.

    `engine_plan` is the SHA-256 of the engine's own plan of the mesh's stack, None where that does not change.
    `stacks` has every stack of the environment, also those that don't change; `waves` are of the sites' stacks that do.
    `unknown` are sites whose keys the mesh's `up` makes (picture.py). `away` did not answer when the plan was made;
    `outages` and `lasting` (what can't be undone) are for people. `soak` is in seconds.
    """

    environment: str
    commit: str
    base: str
    version: str
    mesh: str
    engine_plan: str | None
    stacks: Mapping[str, Bound]
    waves: tuple[tuple[str, ...], ...]
    groups: tuple[Group, ...] = ()
    outages: Mapping[str, str] = field(default_factory=dict)
    lasting: tuple[str, ...] = ()
    unknown: Unknown = field(default_factory=dict)
    away: tuple[str, ...] = ()
    parallel: int = 1
    unavailable: int = 1
    soak: int = 0
    limits: Limits = field(default_factory=Limits)
    canary_failure: Reaction = "undo"
    later_failure: Reaction = "pause"

    @property
    def digest(self) -> str:
        """SHA-256, hex, of all of it."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @property
    def course(self) -> Course:
        bound = self.stacks[self.mesh]
        return Course(
            commit=self.commit,
            mesh=self.mesh if bound.before != bound.after or self.engine_plan else None,
            waves=self.waves,
            outages=frozenset(self.outages),
            parallel=self.parallel,
            unavailable=self.unavailable,
            canary_failure=self.canary_failure,
            later_failure=self.later_failure,
        )

    def to_json(self) -> bytes:
        return canonical({"format": FORMAT, **asdict(self)})

    @classmethod
    def from_json(cls, blob: bytes) -> Plan:
        """Raises PlanError."""
        try:
            raw = json.loads(blob)
            found = raw.pop("format")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise PlanError("this is no plan of a rollout; `wgnode rollout plan` makes one") from None
        if found != FORMAT:
            newer = formats.newer("the plan", found, FORMAT)
            raise PlanError(newer or f"the plan has format {found!r}, this version reads {FORMAT}; make it anew")
        try:
            plan = cls(**{name: _READ.get(name, _same)(value) for name, value in raw.items()})
            written = plan.to_json()
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise PlanError(f"the plan is damaged ({type(error).__name__}: {error}); make it anew") from None
        if written != blob:
            raise PlanError("the plan is not as it was written: somebody has changed it; make it anew")
        return plan


def _same(value: Any) -> Any:
    return value


def _stacks(raw: Mapping[str, Any]) -> dict[str, Bound]:
    return {name: Bound(**one) for name, one in raw.items()}


def _groups(raw: Any) -> tuple[Group, ...]:
    return tuple(Group(tuple(one["sites"]), tuple(one["lines"])) for one in raw)


_READ: Mapping[str, Any] = {
    "stacks": _stacks,
    "groups": _groups,
    "waves": lambda raw: tuple(map(tuple, raw)),
    "lasting": tuple,
    "away": tuple,
    "limits": lambda raw: Limits(**raw),
}
