"""This stack's configuration as the engine hands it over, and the name of the file that it stands in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime.config import get_config, is_config_secret

from infra.config import MeshConfig, SiteConfig, parse_mesh, parse_site
from infra.config_errors import ConfigurationError
from infra.site_problems import PROJECT
from pulumi_wgnode.components import together
from wgnode import sitesfile, usersfolder, yamlfile
from wgnode.topology.validate import Problem


def stack_file(stack: str | None = None) -> str:
    """ "stacks/Pulumi.dev-mesh.yaml", for messages."""
    return f"stacks/Pulumi.{stack or pulumi.get_stack()}.yaml"


def load() -> MeshConfig | SiteConfig:
    """The stack's configuration by its role. Raises ConfigurationError with everything that is wrong."""
    role = get_config(f"{PROJECT}:role")
    if role == "mesh":
        return _mesh()
    if role == "site":
        return _site()
    problem = "is missing: mesh or site" if role is None else f"{role!r} is neither mesh nor site"
    raise ConfigurationError(stack_file(), [Problem(f"{PROJECT}:role", problem)])


def _mesh() -> MeshConfig:
    raw = _object("mesh")
    try:
        if sitesfile.named(raw) is None:
            return parse_mesh(raw, stack_file(), _written_problems("mesh"))
        whole, found = yamlfile.judged(sitesfile.included(yamlfile.read(root() / stack_file()), _beside))
        sites = whole["config"][f"{PROJECT}:mesh"]["sites"]  # read once: that of a thousand takes a second
        mesh = sitesfile.with_sites(raw, lambda _: "") | {"sites": sites}
        return parse_mesh(mesh, stack_file(), _ours(found, "mesh"))
    except (sitesfile.SitesFileError, OSError) as error:
        raise ConfigurationError(stack_file(), [Problem(f"{PROJECT}:mesh", str(error))]) from None


def _site() -> SiteConfig:
    raw = _object("site")
    try:
        if usersfolder.named(raw) is None:
            return parse_site(raw, stack_file(), root(), _clear_secrets(), _written_problems("site"))
        read = usersfolder.beside(root() / stack_file())
        whole, found = usersfolder.judged(raw, read)
        written = [*_written_problems("site"), *(Problem(path, what) for path, what in found)]
        return parse_site(whole, stack_file(), root(), _clear_secrets(), written)
    except (usersfolder.UsersFolderError, OSError) as error:
        raise ConfigurationError(stack_file(), [Problem(f"{PROJECT}:site", str(error))]) from None


def _beside(name: str) -> str:
    return yamlfile.read((root() / stack_file()).with_name(name))


def root() -> Path:
    """The project's folder: relative paths in configuration start there.

    Older language hosts don't tell it; then it is the folder of Pulumi.yaml above the shell's own path (which keeps
    links), if our program runs from there, or above the program's.
    """
    if told := pulumi.runtime.get_root_directory():
        return Path(told)
    here = Path.cwd()
    for start in (Path(os.environ.get("PWD", here)), here):
        for folder in (start, *start.parents):
            if (folder / "Pulumi.yaml").exists() and here in ((folder / "infra").resolve(), folder.resolve()):
                return folder
    return here


def _object(key: str) -> Any:
    text = get_config(f"{PROJECT}:{key}")
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def _written_problems(key: str) -> list[Problem]:
    """Values and names of ours in the stack file that not every program reads alike: the engine has judged already."""
    file = root() / stack_file()
    return _ours(yamlfile.ambiguous(yamlfile.read(file)), key) if file.is_file() else []


def _ours(found: Iterable[tuple[str, str]], key: str) -> list[Problem]:
    start = f".config.{PROJECT}:{key}"
    return [Problem(path.removeprefix(start), what) for path, what in found if path.startswith(start)]


def _clear_secrets() -> list[str]:
    """Which of a site's secrets stand unencrypted in the stack file; where that isn't to be found, all or none."""
    file = root() / stack_file()
    site: Any = _object("site")
    if file.is_file():
        site = (yamlfile.parse(yamlfile.read(file)).get("config") or {}).get(f"{PROJECT}:site")
    elif is_config_secret(f"{PROJECT}:site"):
        return []
    return together.clear_secrets(site)
