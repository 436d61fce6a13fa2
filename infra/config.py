"""Stack configuration: `wgmesh:mesh` of a mesh stack, `wgmesh:site` of a site stack. Judged before any resource exists.

What there is to say is what the components take (pulumi_wgnode/components/arguments.py and the inputs of
`MeshTopology`), with what this repository adds: where its image lies. What several values say together is judged in
`mesh_problems` (wgnode/topology) and `site_problems`. All errors come at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from infra.config_errors import ConfigurationError
from infra.site_problems import PROJECT, site_problems
from infra.ways_out import StackFiles
from pulumi_wgnode.components.arguments import GatewayArgs, SiteArgs
from pulumi_wgnode.components.together import IMAGE
from pulumi_wgnode.contracts.mesh_topology import MeshTopologyInputs
from pulumi_wgnode.model import Model
from pulumi_wgnode.shapes import shape_problems
from pulumi_wgnode.values import RecipientKey
from wgnode.topology.validate import Problem, mesh_problems


class MeshConfig(MeshTopologyInputs):
    """A mesh stack's `wgmesh:mesh`."""


class GatewayConfig(GatewayArgs):
    """A path of an image starts at the project's folder."""

    image: str = IMAGE


class SiteConfig(SiteArgs):
    """A site stack's `wgmesh:site`."""

    recipient_key: RecipientKey = Field(
        description="the site's private recipient key, a secret; `wgnode site new` makes it, or"
        " `pulumi config set --secret --path wgmesh:site.recipientKey`"
    )
    gateway: GatewayConfig = GatewayConfig()

    @property
    def ways_out(self) -> StackFiles:
        return StackFiles(self.name, self.mesh)


Config = TypeVar("Config", bound=Model)


def parse_mesh(raw: Any, where: str, written: Iterable[Problem] = ()) -> MeshConfig:
    """Raises ConfigurationError with all problems; `where` is the stack file's name, `written` what is wrong with how
    its values are written."""
    values = raw if isinstance(raw, Mapping) else {}
    found = [*written]
    found += [Problem(f".{problem.path}", problem.message) for problem in mesh_problems(values, where)]
    return _parse(MeshConfig, "mesh", raw, where, found)


def parse_site(
    raw: Any, where: str, root: Path, clear: Collection[str] = (), written: Iterable[Problem] = ()
) -> SiteConfig:
    """Raises ConfigurationError with all problems. `root` is the project's, for relative paths; `clear` has the
    paths of secrets that the stack file holds in clear text, `written` what is wrong with how its
    values are written."""
    values = raw if isinstance(raw, Mapping) else {}
    return _parse(SiteConfig, "site", raw, where, [*written, *site_problems(values, root, clear)])


def _parse(model: type[Config], key: str, raw: Any, where: str, problems: list[Problem]) -> Config:
    try:
        parsed = model.model_validate(raw if raw is not None else {})
    except ValidationError as error:
        problems = [*shape_problems(model, error, ""), *problems]
    if problems:
        full = (Problem(f"{PROJECT}:{key}{problem.path}", problem.message) for problem in problems)
        raise ConfigurationError(where, sorted(full, key=lambda problem: problem.path))
    return parsed
