"""The recovery file: a mesh as `wgnode mesh recover` found it on the hosts, for `pulumi import --file`.

It is an import file that the engine understands, of a `Mesh` and its `MeshTopology`; what was found lies beside that,
where only `MeshTopology.read` looks, which the resource's id leads there: `recovered:/path/of/the/file`. It has the
mesh's keys in clear text, so it is written for its owner alone and is to be deleted after the import. Why this way:
docs/decisions/recovery.md.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pulumi_wgnode.errors import ExplainedError
from wgnode import formats

FORMAT = 2
PREFIX = "recovered:"
MESH = "mesh"
"""What this package's first user calls component and resource."""


class RecoverError(ExplainedError):
    """Nothing was written; the text has all reasons."""

    def __init__(self, what: str, problems: Sequence[str]) -> None:
        super().__init__("".join([what, *(f"\n  {problem}" for problem in problems)]))


@dataclass(frozen=True, repr=False)
class Recovery:
    """`inputs` as MeshTopology's, of the sites whose private keys were found; `allocations` also of the others.

    `private_keys` by site, (current, next), and `mesh_secret` are base64; `bundles` are those found on the hosts.
    `name` is what the program calls component and resource; it becomes the resource's id, as after `up`.
    """

    inputs: Mapping[str, Any]
    allocations: Mapping[str, Any]
    private_keys: Mapping[str, list[str]]
    mesh_secret: str
    epoch: int
    bundles: Mapping[str, str]
    name: str = MESH

    def state(self) -> dict[str, Any]:
        """As MeshTopology's state before the `up` that gives everything else."""
        sites = {name: one for name, one in self.allocations.items() if name in self.inputs["sites"]}
        return {
            "topology": {"epoch": self.epoch, "sites": sites},
            "resting": {name: one for name, one in self.allocations.items() if name not in sites},
            "forgotten": list(self.inputs.get("forget") or ()),
            "privateKeys": dict(self.private_keys),
            "meshSecret": self.mesh_secret,
            "bundles": dict(self.bundles),
        }


def write(path: Path, recovery: Recovery) -> None:
    """A new file that nobody else may read. Raises FileExistsError rather than write over one."""
    path = path.absolute()
    component = {"type": "wgnode:index:Mesh", "name": "component", "logicalName": recovery.name, "component": True}
    resource = {
        "type": "wgnode:index:MeshTopology",
        "name": "topology",
        "logicalName": recovery.name,
        "id": f"{PREFIX}{path}",
        "parent": "component",
        "version": version("wgnode"),
    }
    recovered = {name: value for name, value in asdict(recovery).items() if name != "name"}  # the resources have it
    content = {"resources": [component, resource], "recovered": {"format": FORMAT, **recovered}}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(content, stream, indent=2)
        stream.write("\n")


def read(id: str) -> Recovery:
    """What the file named by an import's id has. Raises ExplainedError, which never quotes the file."""
    path = Path(id.removeprefix(PREFIX))
    try:
        if (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
            raise ExplainedError(
                f"recovery file {path} has mode {mode:04o}: others may read the mesh's keys in it; `chmod 600` it, and"
                " if others use this machine, count the keys as known to them"
            )
        content = json.loads(path.read_bytes())
        raw, writer = content["recovered"], content["resources"][-1].get("version") if "resources" in content else None
        found = raw.pop("format")
        if found == FORMAT:
            resources = content.get("resources") or [{}]
            return replace(Recovery(**raw), name=resources[-1].get("logicalName", MESH))
    except OSError as error:
        raise ExplainedError(
            f"recovery file {path}: {error.strerror}; `wgnode mesh recover` writes it, on the machine that imports it"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ExplainedError(f"recovery file {path} is damaged; write it anew with `wgnode mesh recover`") from None
    if why := formats.newer(f"recovery file {path}", found, FORMAT, writer):
        raise ExplainedError(why)
    raise ExplainedError(f"recovery file {path} has format {found!r}, this version reads {FORMAT}")
