"""The work of `wgnode mesh recover`: ask the hosts, put together what they have, say how to go on."""

from __future__ import annotations

import os
import shlex
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pulumi_wgnode import recovery
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.operations import host_remains, recovered_inputs, recovered_sites
from pulumi_wgnode.operations.host_remains import Files
from pulumi_wgnode.operations.recovered_inputs import alive
from pulumi_wgnode.operations.stacks import PROJECT, SiteStack, each, file_of, read_mesh, read_site, site_name
from pulumi_wgnode.recovery import RecoverError, Recovery
from pulumi_wgnode.resources.mesh_topology import FIRST_EPOCH
from wgnode import yamlfile
from wgnode.nodeconfig import KEY_LENGTH, encode_key
from wgnode.topology import recover as topology
from wgnode.topology.remains import RecoveredMesh, RecoveryError


@dataclass(frozen=True, repr=False)
class Found:
    """What is to be written, and what to say about it. `stacks` are the sites' that were asked."""

    mesh_stack: str
    stacks: tuple[str, ...]
    mesh: RecoveredMesh
    recovery: Recovery
    warnings: tuple[str, ...]


def recover(folder: Path, stacks: Sequence[str], lost: Collection[str]) -> Found:
    """By the stack files of this package's first user. Raises RecoverError or StackError."""
    sites = _read_stacks(folder, stacks, lost)
    mesh_stack = _one_mesh_stack(sites)
    configured = read_mesh(folder, mesh_stack)
    found = _recovered(sites, configured, lost, recovery.MESH)
    notes = () if configured else (_lost_file(file_of(folder, mesh_stack), found.recovery.inputs),)
    stacks_asked = tuple(site.stack for site in sites)
    return replace(found, mesh_stack=mesh_stack, stacks=stacks_asked, warnings=(*found.warnings, *notes))


def recover_named(file: Path, into: str, name: str, lost: Collection[str]) -> Found:
    """By a file that names the sites, into a stack whose program calls the mesh `name`. Raises as `recover`."""
    sites, configured = recovered_sites.read(file)
    found = _recovered([site for site in sites if site.site not in lost], configured, lost, name)
    notes = () if configured else (_arguments(found.recovery.inputs),)
    return replace(found, mesh_stack=into, warnings=(*found.warnings, *notes))


def _recovered(sites: Sequence[SiteStack], configured: Mapping[str, Any], lost: Collection[str], name: str) -> Found:
    """Whichever stack it is for."""
    if not sites:
        raise RecoverError(_ALL_LOST, [])
    files = host_remains.ask(sites, configured)
    try:
        mesh = topology.recover([one.remains for one in files], lost)
    except RecoveryError as error:
        raise RecoverError("the hosts do not have one mesh between them:", error.problems) from None
    secret = mesh.mesh_secret or os.urandom(KEY_LENGTH)
    inputs = recovered_inputs.inputs(mesh, sites, configured)
    made = Recovery(
        inputs=inputs,
        allocations=recovered_inputs.allocations(mesh, configured),
        private_keys={name: list(map(encode_key, site.private_keys)) for name, site in alive(mesh).items()},
        mesh_secret=encode_key(secret),
        epoch=mesh.epoch or FIRST_EPOCH,
        bundles={one.remains.site: one.sealed for one in files if one.sealed and one.remains.bundle},
        name=name,
    )
    warnings = (*mesh.warnings, *_bundle_warnings(mesh, files), *_lost_warnings(mesh))
    return Found("", (), mesh, made, warnings)


def write(path: Path, found: Recovery) -> None:
    """Raises ExplainedError."""
    try:
        recovery.write(path, found)
    except FileExistsError:
        raise ExplainedError(f"{path} is already there, and was left as it is; delete it, or choose --output") from None
    except OSError as error:
        raise ExplainedError(f"{path} can't be written: {error.strerror}") from None


def summary(found: Found, file: Path) -> str:
    """What was found and the commands to go on with."""
    living, mesh = alive(found.mesh), found.mesh
    tunnel = " and ".join(map(str, mesh.tunnel))
    lines = [f"mesh {mesh.name}, tunnel {tunnel}, port {mesh.listen_port}"]
    for name, site in mesh.sites.items():
        keys = "private key found" if name in living else "private key LOST"
        lines.append(
            f"  {name:<15} index {site.index:<5} {keys}  {site.endpoint or 'no endpoint':<24} {', '.join(site.lans)}"
        )
    stack, quoted = shlex.quote(found.mesh_stack), shlex.quote(str(file))
    return "\n".join(
        [
            *lines,
            f"Written to {file}: it has these private keys in clear text. Go on in the project's folder:",
            f"  pulumi import --file {quoted} --stack {stack} --generate-code=false --yes",
            f"  rm {quoted}",
            f"  pulumi preview --diff --suppress-outputs --stack {stack}  # what the hosts have otherwise",
            f"  pulumi up --suppress-outputs --stack {stack}",
            *(f"  pulumi up --stack {shlex.quote(site)}" for site in found.stacks),
        ]
    )


# The stacks


def _read_stacks(folder: Path, stacks: Sequence[str], lost: Collection[str]) -> list[SiteStack]:
    """Those of sites that are not lost. Raises RecoverError for all that can't be read."""
    asked = [stack for stack in stacks if site_name(folder, stack) not in lost]
    read = each(asked, lambda stack: read_site(folder, stack))
    if errors := [str(error) for error in read if isinstance(error, ExplainedError)]:
        raise RecoverError("not all sites' stacks can be read:", errors)
    sites = [site for site in read if isinstance(site, SiteStack)]
    _one_mesh_stack(sites)
    return sites


def _one_mesh_stack(sites: Sequence[SiteStack]) -> str:
    meshes = sorted({site.mesh for site in sites})
    if not meshes:
        raise RecoverError(_ALL_LOST, [])
    if len(meshes) > 1:
        raise RecoverError("these sites belong to several meshes; choose one by --environment or --stack:", meshes)
    return meshes[0]


_ALL_LOST = "every site is given as lost: there is no host to recover anything from"


# What is said of it


def _lost_file(file: Path, inputs: Mapping[str, Any]) -> str:
    """The mesh's stack file as it has to be for the hosts' mesh, where it is lost too."""
    config = {"config": {f"{PROJECT}:role": "mesh", f"{PROJECT}:mesh": inputs}}
    text = yamlfile.block(config)
    return f"{file} has no mesh; this is what the hosts have, put it there:\n" + textwrap.indent(text, "  ").rstrip()


def _arguments(inputs: Mapping[str, Any]) -> str:
    """The mesh's arguments as they have to be for the hosts' mesh."""
    text = textwrap.indent(yamlfile.block(dict(inputs)), "  ").rstrip()
    return f"the program has to give the mesh these arguments, which the hosts have:\n{text}"


def _bundle_warnings(mesh: RecoveredMesh, files: Sequence[Files]) -> list[str]:
    unopened = [f"{one.remains.site} ({one.unopened})" for one in files if one.unopened]
    if mesh.mesh_secret is None:
        return [
            "the mesh secret is lost, because no site's bundle opens: "
            + "; ".join(unopened)
            + ". A new one was made, so"
            " all pre-shared keys change: each pair of sites is cut off from its first handshake after one of the two"
            " had its `up` (at most two minutes later) until the other had its own, so run all of them soon after each"
            " other"
        ]
    return [f"these sites get a newly sealed bundle, which changes nothing for them: {'; '.join(unopened)}"] * bool(
        unopened
    )


def _lost_warnings(mesh: RecoveredMesh) -> list[str]:
    return [
        f"the private key of {name!r} is lost (index {site.index}, LANs {', '.join(site.lans) or 'unknown'}, endpoint"
        f" {site.endpoint or 'none'}): if it stays in the mesh's stack file, the mesh's next `up` gives it a new key at"
        " its old address, which its peers learn at their next `up` and its new host by its own; else take it out there"
        for name, site in mesh.sites.items()
        if not site.private_keys
    ]
