"""Whether the commit that an undo goes back to still makes what is deployed now: told before anything is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.operations import stacks
from pulumi_wgnode.operations.checking import environment, files
from pulumi_wgnode.operations.checking.stackfile import OfflineSite
from pulumi_wgnode.operations.rolling.states import SiteState
from wgnode.rollout.plan import Plan
from wgnode.topology.model import Topology


def problems(base: Path, plan: Plan, topology: Topology, states: Mapping[str, SiteState]) -> Iterator[str]:
    """Lines for a person. `base` is the project as the former commit has it; mesh and sites are as they are before
    anything is changed.

    Most often it is an image that was rebuilt under the path of the former one.
    """
    try:
        read = environment.read(files.of_folder(base, plan.environment))
    except ExplainedError as error:
        yield str(error)
        return
    models = {stack: mesh.models[name] for mesh in read.meshes.values() for name, stack in mesh.stacks.items()}
    chosen = [stack for stack in plan.course.sites if plan.stacks[stack].before and stack in states]
    found = stacks.each(chosen, lambda stack: _differs(base, plan, states[stack], models.get(stack), topology))
    yield from (f"{stack}: {why}" for stack, why in zip(chosen, found, strict=True) if why)


def _differs(base: Path, plan: Plan, state: SiteState, model: OfflineSite | None, topology: Topology) -> str | None:
    """Raises StackError."""
    if model is None:
        return "that commit has no file of it"
    picture = state.foreseen(model, topology, base)
    found, before = picture.digests(plan.unknown), plan.stacks[state.stack].before
    differ = sorted(part for part, digest in before.items() if found.get(part) != digest)
    return f"{', '.join(differ)} would not be what is deployed now" if differ else None
