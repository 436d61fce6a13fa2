"""What a site reads of its mesh's stack, checked: whatever is missing is named with the reason and the way out.

Read by the function behind Pulumi's StackReference, not by that resource: it gives the values at once, so everything
is judged before any resource exists; and the resource would put a copy of the whole mesh into every site's state
(docs/decisions/reading-the-mesh.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

READ = "pulumi:pulumi:readStackOutputs"


@dataclass(frozen=True)
class MeshOutputs:
    """A mesh stack's exports: `topology` is plain, `bundles` are sealed, by site."""

    topology: Mapping[str, Any]
    bundles: Mapping[str, str]


class MeshStackError(pulumi.RunError):
    """The mesh's stack can't be used; the text says why and what to do."""


def read_mesh(stack: str) -> MeshOutputs:
    """The outputs of the mesh's stack, of this project and organisation unless `stack` is fully qualified.

    Raises MeshStackError.
    """
    full = stack if "/" in stack else f"{pulumi.get_organization()}/{pulumi.get_project()}/{stack}"
    try:
        answer = pulumi.runtime.invoke(READ, {"name": full})
    except Exception as error:
        raise MeshStackError(_unreadable(stack, full, str(error))) from None
    return checked(stack, (answer.value or {}).get("outputs") or {})


def checked(stack: str, outputs: Mapping[str, Any]) -> MeshOutputs:
    """Raises MeshStackError where the outputs are not a mesh's."""
    if not outputs:
        raise MeshStackError(f"mesh stack {stack!r} exists but never ran: run `pulumi up -s {stack}` first")
    missing = [name for name in ("topology", "bundles") if name not in outputs]
    if missing:
        raise MeshStackError(
            f"stack {stack!r} is no mesh stack: it exports {', '.join(sorted(outputs))}, but not {missing[0]};"
            " `wgmesh:site.mesh` must name the stack whose role is mesh"
        )
    for name in ("topology", "bundles"):
        if not isinstance(outputs[name], Mapping) or (name == "topology" and not outputs[name]):
            raise MeshStackError(
                f"mesh stack {stack!r}: its output {name!r} came back empty; an output that is a secret under another"
                " passphrase or secrets provider does: it has to be exported plain, as this version does"
                f" (`pulumi up -s {stack}`)"
            )
    return MeshOutputs(outputs["topology"], outputs["bundles"])


def _unreadable(stack: str, full: str, error: str) -> str:
    if "unknown stack" in error or "no stack named" in error:
        return (
            f"mesh stack {stack!r} does not exist ({full}): run `pulumi stack init {stack}`, then"
            f" `pulumi up -s {stack}`, or correct `wgmesh:site.mesh`"
        )
    return f"mesh stack {stack!r} ({full}) can't be read: {error}"
