"""A plan of a rollout: everything read, nothing changed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pulumi_wgnode.contracts.mesh_topology import MeshTopologyInputs
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.operations import looking, recorded, sites, stacks
from pulumi_wgnode.operations.checking import environment, files
from pulumi_wgnode.operations.checking.environment import Mesh
from pulumi_wgnode.operations.hosts import AT_ONCE
from pulumi_wgnode.operations.recorded import opened
from pulumi_wgnode.operations.rolling.revision import Revision
from pulumi_wgnode.operations.rolling.states import SiteState
from pulumi_wgnode.operations.stacks import StackError
from wgnode.nodeconfig import canonical, decode_key
from wgnode.rollout.changes import changes
from wgnode.rollout.facts import Bound
from wgnode.rollout.fingerprint import fingerprint, unfinished
from wgnode.rollout.foresee import Foreseen, foresee, masked_topology
from wgnode.rollout.grouping import grouped
from wgnode.rollout.outlook import mesh_lines
from wgnode.rollout.picture import Digests, Picture, Unknown
from wgnode.rollout.plan import Plan
from wgnode.rollout.risks import irreversible, outage
from wgnode.rollout.waves import waves
from wgnode.topology.model import MeshSpec, Topology, TopologyError

PREVIEW_TIMEOUT = 600.0
"""Seconds for the engine's plan of a mesh."""
TOPOLOGY = "wgnode:index:MeshTopology"
UNFINISHED = "~ its last `pulumi up` did not come to its end: this one takes it up"


class PlanningError(ExplainedError):
    """There is no plan; the text has all that is in its way."""


@dataclass(frozen=True, repr=False)
class MeshState:
    """`inputs` as the resource had them; `secret` is the mesh's own."""

    topology: Topology
    resting: Mapping[str, Any]
    inputs: MeshTopologyInputs
    secret: bytes

    @classmethod
    def of(cls, stack: str, deployment: Mapping[str, Any]) -> MeshState:
        """Raises StackError."""
        raw = next((one for one in deployment.get("resources") or () if one.get("type") == TOPOLOGY), None)
        if raw is None:
            raise StackError(
                f"mesh stack {stack!r} has not run yet: a rollout is of a mesh that is there; make it first"
                " (docs/how-to/first-mesh.md)"
            )
        inputs, outputs = opened(raw.get("inputs") or {}), opened(raw.get("outputs") or {})
        try:
            names = {field.alias or name for name, field in MeshTopologyInputs.model_fields.items()}
            known = {key: value for key, value in inputs.items() if key in names}
            secret = decode_key(outputs["meshSecret"])
            topology = Topology.from_dict(outputs["topology"])
            return cls(topology, outputs.get("resting") or {}, MeshTopologyInputs.model_validate(known), secret)
        except (KeyError, ValueError) as error:
            why = str(error) if isinstance(error, TopologyError) else "it has another form"
            raise StackError(
                f"mesh stack {stack!r}: its state can't be read ({why}); run `pulumi up -s {stack}` with this version"
            ) from None

    @property
    def key(self) -> bytes:
        """What secrets in fingerprints are hashed with: whoever may read the mesh's state has it, on any machine."""
        return hmac.digest(self.secret, b"wgnode rollout: fingerprints of states", "sha256")


@dataclass(frozen=True)
class Planned:
    """`engine_plan` is the text of the engine's own plan of the mesh's stack; `away` says why, by stack; `mesh` has
    lines of what changes in it."""

    plan: Plan
    engine_plan: bytes | None
    away: Mapping[str, str] = field(default_factory=dict)
    mesh: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class _Read:
    """All that was read, by stack, the mesh's first."""

    mesh: Mesh
    state: MeshState
    exports: Mapping[str, Mapping[str, Any]]


def make(folder: Path, wanted: str, revision: Revision, scratch: Path) -> Planned:
    """`scratch` is a folder for the engine's plan. Raises PlanningError with all that was found."""
    read = _read(folder, wanted)
    try:
        foreseen = foresee(read.mesh.side.spec, read.state.topology, read.state.resting)
    except TopologyError as error:
        raise PlanningError(f"{read.mesh.stack}: {error}") from None
    pictures = _pictures(folder, read, foreseen)
    bound = _bound(read, foreseen, pictures)
    changing = {stack for stack, one in bound.items() if _changes(one)}
    engine_plan = _engine_plan(folder, read.mesh.stack, scratch) if read.mesh.stack in changing else None
    away = _away(folder, sorted(changing - {read.mesh.stack}))
    plan = _plan(wanted, revision, read, foreseen, pictures, bound, engine_plan, away)
    former = MeshSpec.from_dict(read.state.inputs.to_dict())
    return Planned(plan, engine_plan, away, tuple(mesh_lines(former, read.mesh.side.spec)))


def _read(folder: Path, wanted: str) -> _Read:
    found = environment.read(files.of_folder(folder, wanted))
    if found.problems:
        raise PlanningError("\n  ".join(["the stack files have problems:", *map(str, found.problems)]))
    if len(found.meshes) != 1:
        there = ", ".join(sorted(found.meshes)) or "none"
        raise PlanningError(f"environment {wanted!r} needs one stack of role mesh; there are: {there}")
    (mesh,) = found.meshes.values()
    names = [mesh.stack, *(mesh.stacks[name] for name in sorted(mesh.stacks))]
    exports = _all(names, stacks.each(names, lambda name: recorded.export(folder, name)))
    return _Read(mesh, MeshState.of(mesh.stack, exports[mesh.stack]), exports)


def _all(names: Iterable[str], answers: Iterable[Any]) -> dict[str, Any]:
    """By stack; raises PlanningError with every one that is an error."""
    found = dict(zip(names, answers, strict=True))
    if errors := [str(answer) for answer in found.values() if isinstance(answer, ExplainedError)]:
        raise PlanningError("\n  ".join(["not every stack could be read:", *errors]))
    return found


Pair = tuple[Picture | None, Picture]


def _pictures(folder: Path, read: _Read, foreseen: Foreseen) -> dict[str, Pair]:
    """By site, as it is and as it will be."""
    names = sorted(read.mesh.stacks)

    def pair(name: str) -> Pair:
        stack = read.mesh.stacks[name]
        state = SiteState.of(stack, read.exports[stack])
        return state.picture, state.foreseen(read.mesh.models[name], foreseen.topology, folder)

    return _all(names, [_attempt(pair, name) for name in names])


def _attempt(ask: Any, name: str) -> Any:
    try:
        return ask(name)
    except ExplainedError as error:
        return error


def _bound(read: _Read, foreseen: Foreseen, pictures: Mapping[str, Pair]) -> dict[str, Bound]:
    def prints(stack: str) -> Any:
        return fingerprint(read.exports[stack], read.state.key)

    before = mesh_digests(read.state.topology, read.state.inputs, foreseen.unknown)
    after = mesh_digests(foreseen.topology, read.mesh.inputs, foreseen.unknown)
    bound = {read.mesh.stack: Bound(before, after, prints(read.mesh.stack))}
    for name, (one, other) in pictures.items():
        stack = read.mesh.stacks[name]
        wanted = dict(other.digests(foreseen.unknown))
        if one is None:  # what its host has a part in is not known before that was asked
            wanted.pop("ruleset")
            if read.mesh.models[name].gateway.accelerator == "auto":
                wanted.pop("settings")
        bound[stack] = Bound(one.digests(foreseen.unknown) if one else {}, wanted, prints(stack))
    return bound


def mesh_digests(topology: Topology, inputs: MeshTopologyInputs, unknown: Unknown) -> Digests:
    parts = {"topology": masked_topology(topology, unknown).to_dict(), "inputs": inputs.to_dict()}
    return {name: hashlib.sha256(canonical(part)).hexdigest() for name, part in parts.items()}


def _engine_plan(folder: Path, stack: str, scratch: Path) -> bytes:
    file = scratch / "engine-plan.json"
    argv = ["preview", "--save-plan", str(file), "--suppress-outputs", "--stack", stack]
    stacks.pulumi(argv, folder, f"stack {stack!r}", PREVIEW_TIMEOUT)
    return file.read_bytes()


def _away(folder: Path, names: list[str]) -> dict[str, str]:
    """Why, by stack, of those whose hosts did not let us in just now."""

    def reach(one: sites.Known) -> None:
        assert not isinstance(one.site, ExplainedError)
        looking.reach(one.site)

    known = sites.know(folder, names, states=False) if names else []
    _all([one.stack for one in known], [one.site for one in known])
    answers = stacks.each(known, reach, AT_ONCE)
    return {one.stack: str(said) for one, said in zip(known, answers, strict=True) if isinstance(said, ExplainedError)}


def _changes(bound: Bound) -> bool:
    """What a former `up` left in the middle is taken up by the next one, whatever the files say."""
    return bound.before != bound.after or unfinished(bound.state)


def _told(before: Picture | None, after: Picture, bound: Bound) -> list[str]:
    lines = changes(before, after) if before else ["+ it is deployed for the first time"]
    return [*lines, UNFINISHED] if unfinished(bound.state) else lines


def _plan(
    wanted: str,
    revision: Revision,
    read: _Read,
    foreseen: Foreseen,
    pictures: Mapping[str, Pair],
    bound: Mapping[str, Bound],
    engine_plan: bytes | None,
    away: Mapping[str, str],
) -> Plan:
    mesh = read.mesh
    assert mesh.policy is not None
    changing = {name for name, stack in mesh.stacks.items() if _changes(bound[stack])}
    fresh = {name for name, (one, _) in pictures.items() if one is None}
    cut = waves(mesh.policy, mesh.side.spec.sites, changing, fresh)
    told = {mesh.stacks[name]: _told(*pictures[name], bound[mesh.stacks[name]]) for name in changing}
    stops = {mesh.stacks[name]: why for name in sorted(changing) if (why := outage(*pictures[name]))}
    before = MeshSpec.from_dict(read.state.inputs.to_dict())
    return Plan(
        environment=wanted,
        commit=revision.commit,
        base=revision.base,
        version=version("wgnode"),
        mesh=mesh.stack,
        engine_plan=hashlib.sha256(engine_plan).hexdigest() if engine_plan else None,
        stacks=bound,
        waves=tuple(tuple(mesh.stacks[name] for name in wave) for wave in cut),
        groups=tuple(grouped(told)),
        outages=stops,
        lasting=tuple(irreversible(before, mesh.side.spec)),
        unknown=dict(sorted(foreseen.unknown.items())),
        away=tuple(sorted(away)),
        parallel=mesh.policy.parallel,
        unavailable=mesh.policy.unavailable.of(len(mesh.side.spec.sites)),
        soak=mesh.policy.soak,
        limits=mesh.policy.limits,
        canary_failure=mesh.policy.canary_failure,
        later_failure=mesh.policy.later_failure,
    )
