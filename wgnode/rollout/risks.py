"""What a person wants to know before a change begins: who is without a tunnel meanwhile, and what can't be undone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wgnode.nodeconfig import fixed_differences
from wgnode.rollout.picture import GUEST, Picture
from wgnode.topology import labels
from wgnode.topology.model import MeshSpec, SiteSpec


def outage(before: Picture | None, after: Picture | None) -> str | None:
    """Why a site's gateway starts anew (seconds without a tunnel), None where it changes while it runs."""
    if before is None:
        return None
    if after is None:
        return "its gateway goes"
    old, new = before.settings, after.settings
    if boots := sorted(n for n in old.keys() | new.keys() if n.startswith(GUEST) and old.get(n) != new.get(n)):
        return f"a new guest: {', '.join(boots)}"
    fixed = fixed_differences(before.node, after.node)
    return f"a new guest: {fixed}" if fixed else None


def irreversible(before: MeshSpec, after: MeshSpec) -> Iterator[str]:
    """What the mesh's former configuration does not bring back."""
    for name in after.forget:
        if name not in before.forget:
            yield f"site {name!r} is forgotten: its keys, id and addresses are given up; that name is a new site's then"
    for name, old, new in _both(before, after):
        if old.key_generation != new.key_generation:
            yield (
                f"site {name!r} gets a new key: the old one is deleted, and the former configuration"
                f" (keyGeneration {old.key_generation}) would make a third one"
            )
    if before.preshared_keys != after.preshared_keys and after.preshared_keys == "drop":
        yield f"pre-shared keys of label {labels.OLD[0]} are dropped: no earlier step brings them back"


def _both(before: MeshSpec, after: MeshSpec) -> Iterator[tuple[str, SiteSpec, SiteSpec]]:
    sites: Mapping[str, SiteSpec] = before.sites
    for name, new in sorted(after.sites.items()):
        source = new.renamed_from if new.renamed_from and name not in sites else name
        if source in sites:
            yield name, sites[source], new
