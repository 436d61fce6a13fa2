"""The sites of a lost mesh as a file names them: for programs whose stack files say nothing of sites and meshes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from pulumi_wgnode.contracts.connection import Connection
from pulumi_wgnode.model import Model, secret
from pulumi_wgnode.operations.stacks import SiteStack, StackError
from pulumi_wgnode.resources.inputs import described
from pulumi_wgnode.shapes import shape_problems
from pulumi_wgnode.values import RecipientKey
from wgnode import yamlfile


class Entry(Model):
    """A site."""

    host: Connection = Field(description="how its host is reached by SSH, as `host` of `Site`")
    recipient_key: RecipientKey | None = secret("its private recipient key, with which its bundle opens", None)


class SitesFile(Model):
    """What `wgnode mesh recover --hosts` reads."""

    sites: dict[str, Entry] = Field(min_length=1, description="the sites by name, each with `host` and `recipientKey`")
    mesh: dict[str, Any] = Field(default={}, description="the arguments of `Mesh` as the program has them, if it does")


def read(path: Path) -> tuple[list[SiteStack], dict[str, Any]]:
    """The sites, and what the program says of their mesh. Raises StackError, which quotes no secret."""
    try:
        raw = yamlfile.parse(yamlfile.read(path))
        found = SitesFile.model_validate(raw if isinstance(raw, dict) else {})
    except OSError as error:
        raise StackError(f"{path}: {error.strerror}") from None
    except yamlfile.YamlError as error:
        raise StackError(f"{path}: {error}") from None
    except ValidationError as error:
        problems = shape_problems(SitesFile, error, "")
        raise StackError(
            "".join([f"{path}:", *(f"\n  {one.path.lstrip('.')}: {one.message}" for one in problems)])
        ) from None
    return [_site(path, name, entry) for name, entry in found.sites.items()], found.mesh


def _site(path: Path, name: str, entry: Entry) -> SiteStack:
    key = entry.recipient_key
    opened = None if key is None else key.get_secret_value()
    return SiteStack(f"{path.name}: {name}", name, "", described(entry.host.to_dict()), opened)
