"""What a resource kind is to the provider's server: plain Python values in, plain Python values out."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from pulumi_wgnode.errors import ExplainedError

Properties = dict[str, Any]


class _Unknown:
    """The engine's placeholder, during preview, for a value that only an update will tell."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True)
class Secret:
    """An output that the engine must encrypt in state. Inputs arrive unwrapped."""

    value: Any = field(repr=False)


class Judged(Properties):
    """A structure that was made of `text`, which was read and judged as a whole: `of` is what it says, nothing in it is
    unknown, and it is shared, so nobody may change it; a copy is an ordinary one."""

    def __init__(self, structure: Properties, of: Any, text: str) -> None:
        super().__init__(structure)
        self.of, self.text = of, text

    def __deepcopy__(self, memo: dict[int, Any]) -> Properties:
        return copy.deepcopy(dict(self), memo)


def has_unknown(value: Any) -> bool:
    if isinstance(value, str | Judged):
        return False
    if isinstance(value, Secret):
        return has_unknown(value.value)
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN


@dataclass(frozen=True)
class PropertyChange:
    """One changed property by path ("rules.input-ssh"); `replace` when only a new resource can have it.

    `drift`: the path is in the outputs (what the host has), not in the inputs.
    """

    path: str
    replace: bool = False
    kind: Literal["ADD", "DELETE", "UPDATE"] = "UPDATE"
    drift: bool = False


@dataclass(frozen=True)
class Diff:
    """What differs between the recorded (or just refreshed) state and the wanted inputs; empty when nothing does."""

    changes: tuple[PropertyChange, ...] = ()
    delete_before_replace: bool = True


@dataclass(frozen=True)
class Imported:
    """What `read` found by an import's id that only says where to look; `id` is the resource's own from now on."""

    id: str
    state: Properties
    inputs: Properties


class CheckError(ExplainedError):
    """The inputs are unusable: (property path, what is wrong and what to do) for each, all at once."""

    def __init__(self, failures: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {reason}" for path, reason in failures))
        self.failures = failures


class Partial(ExplainedError):
    """The thing exists but isn't finished: the engine keeps `state` and fails the update.

    The next update reads it again first, so `diff` must see from `state` that it is not finished.
    """

    def __init__(self, id: str, state: Properties, inputs: Properties, reason: str) -> None:
        super().__init__(reason)
        self.id, self.state, self.inputs, self.reason = id, state, inputs, reason


class Kind(Protocol):
    """One resource kind. `state` is the outputs as last recorded; unknowns never reach anything but check and diff."""

    def check(self, news: Properties, olds: Properties) -> Properties:
        """The inputs with defaults filled in. Raises CheckError; never judges an UNKNOWN."""
        ...

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff: ...

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        """(id, state). Idempotent: adopts what is already there."""
        ...

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | Imported | None:
        """(state, inputs) as they really are, or None when the thing is gone."""
        ...

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties: ...

    def delete(self, id: str, state: Properties) -> None:
        """Idempotent: what is already gone is no error."""
        ...
