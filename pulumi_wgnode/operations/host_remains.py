"""What the hosts of a lost mesh still have: each gateway's layers, opened, and its sealed bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi_wgnode import seal
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts import owners
from pulumi_wgnode.hosts.host import Host, HostError
from pulumi_wgnode.hosts.query import answer
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.operations.hosts import ask_all
from pulumi_wgnode.operations.recovered_inputs import entries_of, renamed_from
from pulumi_wgnode.operations.stacks import SiteStack
from pulumi_wgnode.recovery import RecoverError
from wgnode.image import layers
from wgnode.image.paths import PLAIN
from wgnode.topology.bundle import Bundle
from wgnode.topology.model import NewerTopology, TopologyError
from wgnode.topology.remains import Remains

WAIT = 30.0
"""Seconds that a host has for three files. One that is away fails within 10; a slow one is worth waiting for here."""


@dataclass(frozen=True, repr=False)
class Files:
    """What a host has: opened layers, and the bundle as it is, sealed."""

    remains: Remains
    sealed: str | None
    unopened: str | None


def ask(sites: Sequence[SiteStack], configured: Mapping[str, Any]) -> list[Files]:
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
    former = renamed_from(entries_of(configured).get(site.site))
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
    """The bundle, or why it does not open. Raises HostError for one of a newer version, which had better read it."""
    if not sealed:
        return None, "its host has none"
    if not site.recipient_key:
        return None, f"stack {site.stack} has no recipientKey"
    try:
        return seal.open_sealed(sealed, site.recipient_key, mesh, site.site), None
    except (seal.NewerBundle, NewerTopology) as error:
        raise HostError(f"site {site.site}: {error}") from None
    except (seal.SealError, TopologyError, ValueError) as error:
        return None, str(error)
