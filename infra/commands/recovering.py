"""The work of `wgnode mesh recover`: ask the hosts, put together what they have, say how to go on."""

from __future__ import annotations

import os
import shlex
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra import recovery, seal
from infra.commands.hosts import ask_all
from infra.commands.stacks import PROJECT, SiteStack, each, file_of, read_mesh, read_site, site_name
from infra.errors import ExplainedError
from infra.hosts import owners, pool
from infra.hosts.host import Host, HostError
from infra.hosts.query import answer
from infra.recovery import Recovery
from infra.resources.mesh_topology import FIRST_EPOCH
from wgnode import recipient, yamlfile
from wgnode.image import layers
from wgnode.image.paths import PLAIN
from wgnode.nodeconfig import KEY_LENGTH, encode_key
from wgnode.topology import identity
from wgnode.topology import recover as topology
from wgnode.topology.allocate import Allocation
from wgnode.topology.bundle import Bundle
from wgnode.topology.model import DEFAULT_KEEPALIVE, TopologyError
from wgnode.topology.remains import RecoveredMesh, RecoveredSite, RecoveryError, Remains

WAIT = 30.0
"""Seconds that a host has for three files. One that is away fails within 10; a slow one is worth waiting for here."""


class RecoverError(ExplainedError):
    """Nothing was written; the text has all reasons."""

    def __init__(self, what: str, problems: Sequence[str]) -> None:
        super().__init__("".join([what, *(f"\n  {problem}" for problem in problems)]))


@dataclass(frozen=True, repr=False)
class Found:
    """What is to be written, and what to say about it. `stacks` are the sites' that were asked."""

    mesh_stack: str
    stacks: tuple[str, ...]
    mesh: RecoveredMesh
    recovery: Recovery
    warnings: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Files:
    """What a host has: opened layers, and the bundle as it is, sealed."""

    remains: Remains
    sealed: str | None
    unopened: str | None


def recover(folder: Path, stacks: Sequence[str], lost: Collection[str]) -> Found:
    """Raises RecoverError or StackError."""
    sites = _read_stacks(folder, stacks, lost)
    mesh_stack = _one_mesh_stack(sites)
    configured = read_mesh(folder, mesh_stack)
    files = _ask(sites, configured)
    try:
        mesh = topology.recover([one.remains for one in files], lost)
    except RecoveryError as error:
        raise RecoverError("the hosts do not have one mesh between them:", error.problems) from None
    secret = mesh.mesh_secret or os.urandom(KEY_LENGTH)
    inputs = _inputs(mesh, sites, configured)
    made = Recovery(
        inputs=inputs,
        allocations=_allocations(mesh, configured),
        private_keys={name: list(map(encode_key, site.private_keys)) for name, site in _alive(mesh).items()},
        mesh_secret=encode_key(secret),
        epoch=mesh.epoch or FIRST_EPOCH,
        bundles={one.remains.site: one.sealed for one in files if one.sealed and one.remains.bundle},
    )
    notes = [] if configured else [_lost_file(file_of(folder, mesh_stack), inputs)]
    warnings = (*mesh.warnings, *notes, *_bundle_warnings(mesh, files), *_lost_warnings(mesh))
    return Found(mesh_stack, tuple(site.stack for site in sites), mesh, made, warnings)


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
    alive, mesh = _alive(found.mesh), found.mesh
    tunnel = " and ".join(map(str, mesh.tunnel))
    lines = [f"mesh {mesh.name}, tunnel {tunnel}, port {mesh.listen_port}"]
    for name, site in mesh.sites.items():
        keys = "private key found" if name in alive else "private key LOST"
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
        raise RecoverError("every site is given as lost: there is no host to recover anything from", [])
    if len(meshes) > 1:
        raise RecoverError("these sites belong to several meshes; choose one by --environment or --stack:", meshes)
    return meshes[0]


# The hosts


def _ask(sites: Sequence[SiteStack], configured: Mapping[str, Any]) -> list[Files]:
    """Raises RecoverError for all hosts that can't be read: a site that runs must not get a new key unasked."""
    answers = ask_all(sites, lambda site: read_files(pool.connect(site.connection), site, configured), WAIT)
    errors = [
        f"{site.stack}: {answer}\n    (if it is gone for good: --lost {site.site})"
        for site, answer in zip(sites, answers, strict=True)
        if isinstance(answer, ExplainedError)
    ]
    if errors:
        raise RecoverError("not all hosts could be read:", errors)
    return [answer for answer in answers if isinstance(answer, Files)]


def read_files(host: Host, site: SiteStack, configured: Mapping[str, Any]) -> Files:
    """`configured` is the mesh's. Raises HostError where there is no gateway, or its files can't be read."""
    former = _renamed_from(_entries(configured).get(site.site))
    record = _record(answer(host, owners.QUERY), site.site, former, configured.get("name"))
    paths = record.paths if record else PLAIN
    config, secrets, sealed = (
        host.read_file(path) for path in (paths.config_layer, paths.secrets_layer, paths.sealed_bundle)
    )
    if config is None:
        raise HostError(f"host {host.name}: there is no {paths.config_layer}, so no gateway of ours")
    try:
        node = layers.config_of(config)
        keys = layers.secrets_of(secrets) if secrets else None
    except ValueError as error:
        raise HostError(f"host {host.name}: {error}") from None
    text = sealed.decode(errors="replace").strip() if sealed else None
    bundle, unopened = _opened(text, site, node.mesh)
    label = f"stack {site.stack}"
    recorded = record.owner.id if record else None
    return Files(Remains(site.site, label, node, keys, bundle, recorded, former), text, unopened)


def _record(seen: owners.Seen, name: str, former: str | None, mesh: str | None) -> owners.Record | None:
    """Of several gateways on a host, the one that has the site's name, or still has the name that it had before."""
    names = [one.owner.name for one in seen.records if mesh in (None, one.owner.mesh)]
    return owners.chosen(seen, former if former in names and name not in names else name, mesh)


def _opened(sealed: str | None, site: SiteStack, mesh: str) -> tuple[Bundle | None, str | None]:
    """The bundle, or why it does not open."""
    if not sealed:
        return None, "its host has none"
    if not site.recipient_key:
        return None, f"stack {site.stack} has no recipientKey"
    try:
        return seal.open_sealed(sealed, site.recipient_key, mesh, site.site), None
    except (seal.SealError, TopologyError, ValueError) as error:
        return None, str(error)


# The mesh


def _alive(mesh: RecoveredMesh) -> dict[str, RecoveredSite]:
    return {name: site for name, site in mesh.sites.items() if site.private_keys}


def _allocations(mesh: RecoveredMesh, configured: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the hosts have; whose has no id, because it is lost or from before there were any, gets a new one."""
    entries = _entries(configured)
    return {
        name: Allocation(
            id=(id := site.id or identity.new_id(os.urandom)),
            index=site.index,
            lan_mac=site.lan_mac or identity.lan_mac(id),
            labels=site.labels,
            key_generation=_generation(entries.get(name)),
            renamed_from=None if (source := _renamed_from(entries.get(name))) in mesh.sites else source,
        ).to_dict()
        for name, site in mesh.sites.items()
    }


def _renamed_from(entry: Any) -> str | None:
    """Hosts know nothing of past renames, but one whose old name nobody has any more is done."""
    return entry.get("renamedFrom") if isinstance(entry, Mapping) else None


def _generation(entry: Any) -> int:
    """The hosts' keys are taken for those that the configuration means."""
    return entry.get("keyGeneration") or 1 if isinstance(entry, Mapping) else 1


def _entries(configured: Mapping[str, Any]) -> Mapping[str, Any]:
    sites = configured.get("sites")
    return sites if isinstance(sites, Mapping) else {}


def _inputs(mesh: RecoveredMesh, sites: Sequence[SiteStack], configured: Mapping[str, Any]) -> dict[str, Any]:
    """MeshTopology's inputs: what hosts have, written as the configuration writes it where both mean the same.

    A lost site is left out: the stack file has it, so the next `up` takes it for a new one, and its index is kept.
    """
    entries = _entries(configured)
    described = {}
    missing = []
    for site in sites:
        found, entry = mesh.sites[site.site], entries.get(site.site) or {}
        public = recipient.public_of(site.recipient_key) if site.recipient_key else entry.get("recipient")
        if not public:
            missing.append(
                f"site {site.site!r}: its stack has no recipientKey and the mesh's stack file no recipient of it: make"
                f" one, `wgnode key recipient | pulumi config set --secret --path {PROJECT}:site.recipientKey --stack"
                f" {site.stack}`, and put its public half into the mesh's stack file"
            )
        lans = entry.get("lans")
        same = isinstance(lans, list) and sorted(map(str, lans)) == sorted(found.lans)
        described[site.site] = {
            "lans": list(lans) if same and isinstance(lans, list) else list(found.lans),
            "recipient": public,
            **({"keyGeneration": entry["keyGeneration"]} if entry.get("keyGeneration") else {}),
            **({"renamedFrom": source} if (source := _renamed_from(entry)) and source not in mesh.sites else {}),
            **({"endpoint": found.endpoint} if found.endpoint else _own_endpoint(mesh, entry)),
        }
    if missing:
        raise RecoverError("bundles can't be sealed for all sites:", missing)
    return {
        "name": mesh.name,
        "tunnel": {f"v{network.version}": str(network) for network in mesh.tunnel},
        "sites": described,
        "keepalive": mesh.keepalive or configured.get("keepalive") or DEFAULT_KEEPALIVE,
        "listenPort": mesh.listen_port,
        **_steps(mesh, configured),
    }


def _steps(mesh: RecoveredMesh, configured: Mapping[str, Any]) -> dict[str, Any]:
    """What no host knows, as the configuration has it, as far as it is true of these hosts."""
    forget = configured.get("forget")
    gone = [name for name in forget if name not in mesh.sites] if isinstance(forget, list) else []
    return {"forget": gone} if gone else {}


def _own_endpoint(mesh: RecoveredMesh, entry: Mapping[str, Any]) -> dict[str, Any]:
    """With a single host left nobody has its endpoint but the stack file."""
    return {"endpoint": entry["endpoint"]} if len(_alive(mesh)) == 1 and entry.get("endpoint") else {}


def _lost_file(file: Path, inputs: Mapping[str, Any]) -> str:
    """The mesh's stack file as it has to be for the hosts' mesh, where it is lost too."""
    config = {"config": {f"{PROJECT}:role": "mesh", f"{PROJECT}:mesh": inputs}}
    text = yamlfile.block(config)
    return f"{file} has no mesh; this is what the hosts have, put it there:\n" + textwrap.indent(text, "  ").rstrip()


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
