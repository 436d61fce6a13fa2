"""A mesh's sites in a file of their own, beside its stack file: `sitesFile: prod-sites.yaml` in place of `sites:`.

The engine hands a program all of its stack's configuration in one variable of the environment, and Linux takes none
of more than 128 KiB: some 75 sites, whose recipient keys are long. So with more, the program reads them itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from wgnode import yamlfile

KEY = "sitesFile"
NAME = re.compile(r"(?!Pulumi\.)[A-Za-z0-9_][A-Za-z0-9_.-]*\.yaml")
_LINE = re.compile(rf"^(?P<indent> +){KEY}:[^\n]*$", re.MULTILINE)

Read = Callable[[str], str]
"""Gives the text of the file of that name beside the stack file."""


class SitesFileError(ValueError):
    """The text says what is wrong with `sitesFile`, and the way out."""


def named(mesh: Any) -> str | None:
    """The file's name, of `wgmesh:mesh`. Raises SitesFileError."""
    if not isinstance(mesh, Mapping) or KEY not in mesh:
        return None
    name = mesh[KEY]
    if "sites" in mesh:
        raise SitesFileError(f"both `sites` and `{KEY}`; keep one of them")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SitesFileError(f"`{KEY}` is the name of a file beside the stack file, such as prod-sites.yaml: {name!r}")
    return name


def with_sites(mesh: Any, read: Read) -> Any:
    """`wgmesh:mesh` with its sites in it, wherever they stand. Raises SitesFileError."""
    if (name := named(mesh)) is None:
        return mesh
    return {**{key: value for key, value in mesh.items() if key != KEY}, "sites": _sites(name, read(name))}


def included(text: str, read: Read) -> str:
    """A mesh's stack file with the sites in it, each of their values as it is written. Raises SitesFileError."""
    if KEY not in text or (name := named(_mesh(text))) is None:
        return text
    line = _LINE.search(text)
    if line is None:
        raise SitesFileError(f"`{KEY}:` stands within braces; write it on a line of its own")
    inner = yamlfile.within(read(name), line["indent"] + "  ")
    return text[: line.start()] + f"{line['indent']}sites:\n{inner.rstrip()}" + text[line.end() :]


def with_site(name: str, text: str, site: str, entry: Mapping[str, Any]) -> str:
    """The sites' file with one more. Raises SitesFileError."""
    before = _sites(name, text)
    if site in before:
        raise SitesFileError(f"{name} has a site {site!r} already")
    after = (text if before else "").rstrip("\n") + ("\n" if before else "") + yamlfile.block({site: dict(entry)})
    if _sites(name, after) != {**before, site: dict(entry)}:
        raise SitesFileError(f"{name} is written so that no site can be added; add it by hand")
    return after


def _mesh(text: str) -> Any:
    try:
        read = yamlfile.parse(text)
    except yamlfile.YamlError:
        return None  # who judges the file says what it is
    config = read.get("config") if isinstance(read, dict) else None
    return config.get("wgmesh:mesh") if isinstance(config, dict) else None


def _sites(name: str, text: str) -> dict[str, Any]:
    try:
        sites = yamlfile.parse(text) if text.strip() else {}
    except yamlfile.YamlError as error:
        raise SitesFileError(f"{name}: {error}") from None
    if not isinstance(sites, dict):
        raise SitesFileError(f"{name} is no mapping of sites by name")
    return sites
