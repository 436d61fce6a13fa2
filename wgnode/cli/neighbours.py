"""What the other stack files of a folder say, for a new site that must not be in their way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from wgnode import sitesfile, yamlfile
from wgnode.cli.newsite import NewSite
from wgnode.cli.stackfile import MESH, SITE, with_site
from wgnode.topology.validate import Problem, mesh_problems


@dataclass(frozen=True)
class MeshFile:
    """The file of the mesh's sites, its own or one beside it, as it is to become; what the mesh will say of it;
    and the sites that it had before."""

    path: Path
    text: str
    problems: tuple[Problem, ...]
    sites: frozenset[str] = frozenset()


def mesh_with(path: Path, name: str, entry: Mapping[str, Any]) -> MeshFile:
    """Problems that it had before are its own and are left out. Raises ValueError, OSError."""
    text = yamlfile.read(path)
    before = sitesfile.included(text, lambda name: yamlfile.read(path.with_name(name)))
    after = with_site(before, name, entry)
    known = {problem.message for problem in _mesh_problems(before, path)}
    fresh = [problem for problem in _mesh_problems(after, path) if problem.message not in known]
    mesh = _at(yamlfile.parse(before), MESH)
    sites = _mapping(mesh, "sites") if isinstance(mesh, Mapping) else {}
    if other := sitesfile.named(_at(yamlfile.parse(text), MESH)):
        path = path.with_name(other)
        after = sitesfile.with_site(other, yamlfile.read(path), name, entry)
    return MeshFile(path, after, tuple(fresh), frozenset(map(str, sites)))


def conflicts(directory: Path, site: NewSite) -> Iterator[str]:
    """What of the new site's is in use by another site's stack file. Raises ValueError, OSError."""
    for path in sorted(directory.glob("Pulumi.*.yaml")):
        other = _at(yamlfile.parse(yamlfile.read(path)), SITE)
        if not isinstance(other, Mapping) or other.get("mesh") != site.mesh:
            continue
        if other.get("name") == site.name:
            yield f"{path} is of a site {site.name!r} of mesh stack {site.mesh} already"
        host, lan = _mapping(other, "host"), _mapping(other, "lan")
        if (host.get("address"), host.get("port", 22)) == (site.address, site.port):
            yield f"host {site.address} port {site.port} is site {other.get('name')!r}'s already ({path})"
        taken = _addresses(lan.get("gatewayAddresses"))
        for address in _addresses(site.gateway_addresses):
            if address in taken:
                yield f"gateway address {address} is site {other.get('name')!r}'s already ({path})"


def _mesh_problems(text: str, path: Path) -> list[Problem]:
    mesh = _at(yamlfile.parse(text), MESH)
    return mesh_problems(mesh, str(path)) if isinstance(mesh, Mapping) else []


def _addresses(values: Any) -> set[str]:
    found = set()
    for value in values if isinstance(values, (list, tuple)) else ():
        try:
            found.add(str(ip_address(str(value))))
        except ValueError:
            continue
    return found


def _at(raw: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        raw = raw.get(step) if isinstance(raw, Mapping) else None
    return raw


def _mapping(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, Mapping) else {}
