"""Whether what a site's stack has deployed is on its host as it should be: each resource reads and compares itself.

The same as the engine asks of it before an update, so nothing here judges again: a kind of drift that a resource learns
to see is seen here too, and so is what it warns of while it reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pulumi_wgnode.call import log
from pulumi_wgnode.call.kind import Imported, Kind, Properties
from pulumi_wgnode.call.log import Severity
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import Connection
from pulumi_wgnode.operations.recorded import PARTS, Recorded
from pulumi_wgnode.resources.inputs import undescribed
from pulumi_wgnode.resources.unread import PASSED_OVER, UNREACHED, UNREAD

_STEP = re.compile(r'\["([^"]*)"\]|\[(\d+)\]|([^.\[\]]+)')


@dataclass(frozen=True)
class Difference:
    """One thing that is not as wanted: its path, such as ("rules", "masquerade-v4"), what was found there and what is
    wanted, None for nothing."""

    path: tuple[str, ...]
    found: Any
    wanted: Any


@dataclass(frozen=True)
class Part:
    """`state`: whether all of it is as wanted, it differs, it is gone, was never deployed, or can't be read.

    `wanted` counts what is wanted, by the first step of a path; `said` has what its reading warned of, `notes` what it
    was not sure of. `addresses` are the uplink's, of the part that knows them, each with whether it is leased.
    """

    name: str
    state: Literal["as wanted", "differs", "gone", "missing", "unread"]
    differences: tuple[Difference, ...] = ()
    wanted: Mapping[str, int] | None = None
    said: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    addresses: Mapping[str, bool] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        return self.state == "as wanted" and not self.said


def read_all(recorded: Sequence[Recorded], connection: Connection, kinds: Callable[[str], Kind]) -> tuple[Part, ...]:
    """Each part of a site, by the connection that its stack has now; `kinds` gives the resource kind of a token."""
    there = {one.part: one for one in recorded}
    return tuple(
        read(there[name], connection, kinds(there[name].token)) if name in there else Part(name, "missing")
        for name in PARTS.values()
    )


def read(one: Recorded, connection: Connection, kind: Kind) -> Part:
    told: list[tuple[str, Severity]] = []
    log.send_to(lambda text, severity: told.append((text, severity)))
    try:
        return _compared(one, {**one.inputs, "connection": undescribed(connection)}, kind, told)
    except ExplainedError as error:
        return Part(one.part, "unread", said=(str(error),))
    finally:
        log.send_to(None)


def _compared(one: Recorded, inputs: Properties, kind: Kind, told: Sequence[tuple[str, Severity]]) -> Part:
    """`told` grows while the kind reads."""
    found = kind.read(one.id, {**one.outputs}, inputs)
    if found is None:
        return Part(one.part, "gone", said=_said(told, Severity.WARNING))
    state, wanted = (found.state, found.inputs) if isinstance(found, Imported) else found
    for mark in (UNREACHED, UNREAD):
        if mark in state:
            return Part(one.part, "unread", said=(str(state[mark]),))
    changes = kind.diff(state, wanted, wanted).changes
    paths = list(dict.fromkeys(_steps(change.path) for change in changes if change.drift))
    # Some wanted values stand in the recorded outputs alone, such as what an image consists of.
    differences = tuple(Difference(path, _at(state, path), _at(wanted, path, one.outputs)) for path in paths)
    said = _said(told, Severity.WARNING)
    if PASSED_OVER in state:
        said = (*said, f"the last `pulumi up` passed it over: {state[PASSED_OVER]}")
        differences = tuple(one for one in differences if one.path != (PASSED_OVER,))
    return Part(
        one.part,
        "differs" if differences else "as wanted",
        differences,
        {path[0]: _count(_at(wanted, path[:1], one.outputs)) for path in paths},
        said,
        _said(told, Severity.DOUBT),
        (state.get("facts") or {}).get("uplinkAddresses") or {},
    )


def _said(told: Sequence[tuple[str, Severity]], severity: Severity) -> tuple[str, ...]:
    """Each once, also what reading and comparing both say."""
    return tuple(dict.fromkeys(text for text, how in told if how is severity))


def _steps(path: str) -> tuple[str, ...]:
    """Of a property path; of a list, the whole of it is what differs."""
    steps: list[str] = []
    for name, number, plain in _STEP.findall(path):
        if number:
            break
        steps.append(name or plain)
    return tuple(steps)


def _at(properties: Any, path: tuple[str, ...], otherwise: Mapping[str, Any] | None = None) -> Any:
    """None for nothing; in `otherwise`, for an output that `properties` don't have at all."""
    if otherwise is not None and path[0] not in properties:
        properties = otherwise
    for step in path:
        properties = properties.get(step) if isinstance(properties, Mapping) else None
    return properties


def _count(value: Any) -> int:
    return len(value) if isinstance(value, Mapping) else 1
