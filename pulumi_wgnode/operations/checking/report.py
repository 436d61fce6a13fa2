"""What `wgnode check` found, as a value and for programs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pulumi_wgnode.operations.checking import environment, files
from pulumi_wgnode.operations.checking.environment import Environment, Found, Mesh
from wgnode.rollout.outlook import Outlook, Side, outlook
from wgnode.rollout.waves import waves
from wgnode.topology import users
from wgnode.topology.model import TopologyError


@dataclass(frozen=True)
class MeshChange:
    """What happens to a mesh; `waves` are its changing sites as a rollout would take them, the canary first."""

    outlook: Outlook
    waves: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Report:
    """`against` is the commit compared with, None where there was nothing to compare. `notes` are no problems."""

    environment: str | None
    sites: int
    problems: tuple[Found, ...]
    against: str | None = None
    meshes: Mapping[str, MeshChange] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "environment": self.environment,
            "sites": self.sites,
            "problems": [asdict(one) for one in self.problems],
            "against": self.against,
            "meshes": {name: _to_dict(change) for name, change in self.meshes.items()},
            "notes": list(self.notes),
        }


def check(folder: Path, wanted: str | None, against: str | None) -> Report:
    """Raises FilesError where files or revision can't be read at all."""
    now = files.of_folder(folder, wanted)
    if not now.texts:
        raise files.FilesError(
            f"there is no stack file {files.pattern(wanted)} in project {folder}; `wgnode site new` writes the first"
        )
    after = environment.read(now)
    report = Report(wanted, after.sites, after.problems, notes=tuple(_of_users(after, time.time())))
    if against is None:
        return report
    then = files.of_revision(folder, against, wanted)
    return compared(replace(report, against=then.commit), environment.read(then), after)


def _of_users(found: Environment, wall: float) -> Iterator[str]:
    """What each `up` warns of. `wall` is in seconds since 1970."""
    for mesh in found.meshes.values():
        for name, model in mesh.models.items():
            said = model.to_dict().get("users") if model.users else None
            yield from (*users.without_groups(name, said), *users.expired(name, said, wall))


def compared(report: Report, before: Environment, after: Environment) -> Report:
    meshes: dict[str, MeshChange] = {}
    then = (report.against or "")[:12]
    notes = [*report.notes]
    notes += [_unread(then, files) for files in [sorted({one.file for one in before.problems})] if files]
    for stack, mesh in after.meshes.items():
        try:
            meshes[stack] = _change(before.meshes.get(stack), mesh)
        except TopologyError as error:
            notes.append(f"{stack}: what changes is not known: {error}")
    notes += [f"{stack}: its file is gone, or has problems now" for stack in before.meshes if stack not in after.meshes]
    return replace(report, meshes=meshes, notes=tuple(notes))


def _unread(then: str, names: Sequence[str]) -> str:
    return f"at {then} there were problems in {', '.join(names)}: what is different there may not be told"


def _change(before: Mesh | None, after: Mesh) -> MeshChange:
    """A mesh that is new has had no sites."""
    former = before.side if before else Side(replace(after.side.spec, sites={}), {})
    seen = outlook(former, after.side)
    if after.policy is None or not seen.changing:
        return MeshChange(seen)
    changing = seen.changing & after.side.spec.sites.keys()
    return MeshChange(seen, tuple(waves(after.policy, after.side.spec.sites, changing, seen.fresh)))


def _to_dict(change: MeshChange) -> dict[str, Any]:
    seen = change.outlook
    return {
        "mesh": list(seen.mesh),
        "groups": [{"sites": list(group.sites), "changes": list(group.lines)} for group in seen.groups],
        "outages": dict(seen.outages),
        "irreversible": list(seen.lasting),
        "waves": [list(wave) for wave in change.waves],
    }
