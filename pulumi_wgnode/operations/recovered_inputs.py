"""A recovered mesh as MeshTopology takes it: what the hosts have, completed by what only the configuration says."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_wgnode.operations.stacks import PROJECT, SiteStack
from pulumi_wgnode.recovery import RecoverError
from wgnode import endpoint, recipient
from wgnode.topology import identity
from wgnode.topology import mtu as mtus
from wgnode.topology.allocate import Allocation
from wgnode.topology.model import DEFAULT_KEEPALIVE
from wgnode.topology.remains import RecoveredMesh, RecoveredSite


def alive(mesh: RecoveredMesh) -> dict[str, RecoveredSite]:
    return {name: site for name, site in mesh.sites.items() if site.private_keys}


def allocations(mesh: RecoveredMesh, configured: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the hosts have; whose has no id, because it is lost or from before there were any, gets a new one."""
    entries = entries_of(configured)
    return {
        name: Allocation(
            id=(id := site.id or identity.new_id(os.urandom)),
            index=site.index,
            lan_mac=site.lan_mac or identity.lan_mac(id),
            labels=site.labels,
            key_generation=_generation(entries.get(name)),
            renamed_from=None if (source := renamed_from(entries.get(name))) in mesh.sites else source,
        ).to_dict()
        for name, site in mesh.sites.items()
    }


def renamed_from(entry: Any) -> str | None:
    """Hosts know nothing of past renames, but one whose old name nobody has any more is done."""
    return entry.get("renamedFrom") if isinstance(entry, Mapping) else None


def _generation(entry: Any) -> int:
    """The hosts' keys are taken for those that the configuration means."""
    return entry.get("keyGeneration") or 1 if isinstance(entry, Mapping) else 1


def entries_of(configured: Mapping[str, Any]) -> Mapping[str, Any]:
    sites = configured.get("sites")
    return sites if isinstance(sites, Mapping) else {}


def inputs(mesh: RecoveredMesh, sites: Sequence[SiteStack], configured: Mapping[str, Any]) -> dict[str, Any]:
    """MeshTopology's inputs: what hosts have, written as the configuration writes it where both mean the same.

    A lost site is left out: the stack file has it, so the next `up` takes it for a new one, and its index is kept.
    """
    entries = entries_of(configured)
    described = {}
    missing = []
    for site in sites:
        found, entry = mesh.sites[site.site], entries.get(site.site) or {}
        public = recipient.public_of(site.recipient_key) if site.recipient_key else entry.get("recipient")
        if not public:
            missing.append(_without_recipient(site))
        lans = entry.get("lans")
        same = isinstance(lans, list) and sorted(map(str, lans)) == sorted(found.lans)
        described[site.site] = {
            "lans": list(lans) if same and isinstance(lans, list) else list(found.lans),
            "recipient": public,
            **({"keyGeneration": entry["keyGeneration"]} if entry.get("keyGeneration") else {}),
            **({"renamedFrom": source} if (source := renamed_from(entry)) and source not in mesh.sites else {}),
            **_mtu(found, entry, configured),
            **(_endpoint(found.endpoint, entry) if found.endpoint else _own_endpoint(mesh, entry)),
        }
    if missing:
        raise RecoverError("bundles can't be sealed for all sites:", missing)
    return {
        "name": mesh.name,
        "tunnel": {f"v{network.version}": str(network) for network in mesh.tunnel},
        "sites": described,
        "keepalive": mesh.keepalive or configured.get("keepalive") or DEFAULT_KEEPALIVE,
        "listenPort": mesh.listen_port,
        **({"mtu": configured["mtu"]} if configured.get("mtu") else {}),
        **_steps(mesh, configured),
    }


def _without_recipient(site: SiteStack) -> str:
    if not site.mesh:
        return f"{site.stack}: give its `recipientKey`, or its `recipient` in `mesh`; `wgnode key recipient` makes one"
    return (
        f"site {site.site!r}: its stack has no recipientKey and the mesh's stack file no recipient of it: make"
        f" one, `wgnode key recipient | pulumi config set --secret --path {PROJECT}:site.recipientKey --stack"
        f" {site.stack}`, and put its public half into the mesh's stack file"
    )


def _mtu(found: RecoveredSite, entry: Mapping[str, Any], configured: Mapping[str, Any]) -> dict[str, Any]:
    """As the configuration has it where the host has the same."""
    given = entry.get("mtu") or configured.get("mtu")
    meant = (given,) if given else (mtus.of(None, searched=True), mtus.of(None, searched=False))
    mtu = entry.get("mtu") if found.mtu in (None, *meant) else found.mtu
    return {"mtu": mtu} if mtu else {}


def _endpoint(found: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Hosts have an address in its one form, the configuration in anyone's."""
    written = entry.get("endpoint")
    try:
        same = isinstance(written, str) and endpoint.canonical(written) == found
    except ValueError:
        same = False
    return {"endpoint": written if same else found}


def _steps(mesh: RecoveredMesh, configured: Mapping[str, Any]) -> dict[str, Any]:
    """What no host knows, as the configuration has it, as far as it is true of these hosts."""
    forget = configured.get("forget")
    gone = [name for name in forget if name not in mesh.sites] if isinstance(forget, list) else []
    return {"forget": gone} if gone else {}


def _own_endpoint(mesh: RecoveredMesh, entry: Mapping[str, Any]) -> dict[str, Any]:
    """With a single host left nobody has its endpoint but the stack file."""
    return {"endpoint": entry["endpoint"]} if len(alive(mesh)) == 1 and entry.get("endpoint") else {}
