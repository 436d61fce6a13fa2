"""What a change does to a whole environment, judged from its files alone: no state, no secret, no host.

Who has which key and which address in the tunnel stands in the mesh's state and is left out; so is what a host adds to
its rules. Between two revisions of the files all that is the same on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wgnode.firewall.rules import Firewall
from wgnode.rollout.changes import changes, fields_changed
from wgnode.rollout.foresee import foresee
from wgnode.rollout.grouping import Group, grouped
from wgnode.rollout.picture import Picture, draw
from wgnode.rollout.risks import irreversible, outage
from wgnode.topology import history
from wgnode.topology.compile import SiteFacts
from wgnode.topology.model import MeshSpec, SiteSpec, Topology


@dataclass(frozen=True)
class SiteSide:
    """What a site's own stack file says."""

    facts: SiteFacts
    firewall: Firewall
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Side:
    """A mesh's files at one revision; `sites` are those that have a stack, by name."""

    spec: MeshSpec
    sites: Mapping[str, SiteSide]


@dataclass(frozen=True)
class Outlook:
    """`mesh` are lines, `outages` (why) are by site, `lasting` is what can't be undone."""

    mesh: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    outages: Mapping[str, str] = field(default_factory=dict)
    lasting: tuple[str, ...] = ()
    fresh: frozenset[str] = frozenset()
    """Sites that were not there before."""

    @property
    def changing(self) -> frozenset[str]:
        return frozenset(name for group in self.groups for name in group.sites)


def outlook(before: Side, after: Side) -> Outlook:
    """From one revision to another. Raises TopologyError where the tunnel is full."""
    old = _without_addresses(foresee(before.spec, None, {}).topology)
    spec = _known_renames(before.spec, after.spec)
    new = _without_addresses(foresee(spec, old, {}).topology)
    pairs = dict(_pairs(old, new))
    differing = frozenset(
        name for name, former in pairs.items() if former is None or old.sites[former] != new.sites[name]
    )
    gone = old.sites.keys() - pairs.values()
    told: dict[str, list[str]] = {}
    outages: dict[str, str] = {}
    for name, former in pairs.items():
        if name not in after.sites:
            continue  # no stack has it, or one that can't be read: whoever reads the files has said so
        one = _picture(old, before, former, _peers(old, new, former, name, {*gone, *(pairs[n] for n in differing)}))
        other = _picture(new, after, name, _peers(new, old, name, former, differing))
        told[name] = changes(one, other) if former else ["+ the site is new"]
        if why := outage(one, other):
            outages[name] = why
    told |= {name: changes(_picture(old, before, name, frozenset()), None) for name in gone}
    return Outlook(
        mesh=tuple(mesh_lines(before.spec, after.spec)),
        groups=tuple(grouped(told)),
        outages=outages,
        lasting=tuple(irreversible(before.spec, after.spec)),
        fresh=frozenset(name for name, former in pairs.items() if former is None),
    )


def _pairs(old: Topology, new: Topology) -> Iterator[tuple[str, str | None]]:
    """Each site, and what it was called before; who a site is, its id says."""
    names = {site.id: name for name, site in old.sites.items()}
    yield from ((name, names.get(site.id)) for name, site in sorted(new.sites.items()))


def _peers(
    topology: Topology, other: Topology, name: str | None, there: str | None, differing: Iterable[str | None]
) -> Iterable[str | None]:
    """Those of a site's peers that can differ: of all of them it would be 1,000 times 1,000 pictures of peers."""
    if name is None or there is None:
        return differing
    one, two = topology.sites[name], other.sites[there]
    return differing if (one.keepalive, one.mtu) == (two.keepalive, two.mtu) else topology.sites


def _picture(topology: Topology, side: Side, name: str | None, peers: Iterable[str | None]) -> Picture | None:
    """With those peers, and no more."""
    if name is None or name not in side.sites:
        return None
    shown = {one: topology.sites[one] for one in (name, *peers) if one is not None and one in topology.sites}
    own = side.sites[name]
    return draw(replace(topology, sites=shown), name, own.facts, own.firewall, own.settings)


def _known_renames(before: MeshSpec, after: MeshSpec) -> MeshSpec:
    """A rename from a site that the former files don't have is judged by the mesh's state, which knows who rests."""
    known = {name: site.renamed_from for name, site in before.sites.items()}
    lost = {name for name, source in history.renames(after, known).items() if source not in known}
    sites = {name: replace(site, renamed_from=None) if name in lost else site for name, site in after.sites.items()}
    return replace(after, sites=sites)


def _without_addresses(topology: Topology) -> Topology:
    sites = {name: replace(site, addresses=()) for name, site in topology.sites.items()}
    return replace(topology, sites=sites)


def mesh_lines(before: MeshSpec, after: MeshSpec) -> Iterator[str]:
    """What the mesh's own file says otherwise."""
    moved = {site.renamed_from: name for name, site in after.sites.items() if name not in before.sites}
    for name, site in sorted(after.sites.items()):
        if name in before.sites:
            yield from (f"~ site {name}: {what}" for what in fields_changed(before.sites[name], site, ("recipient",)))
            if before.sites[name].recipient != site.recipient:
                yield f"~ site {name}: recipient key"
        elif site.renamed_from in before.sites and site.renamed_from not in after.sites:
            yield f"~ site {site.renamed_from} is called {name}"
        else:
            yield f"+ site {name}: {_described(site)}"
    yield from (f"- site {name}" for name in sorted(before.sites) if name not in after.sites and name not in moved)
    yield from (f"~ {what}" for what in fields_changed(before, after, ("sites",)))


def _described(site: SiteSpec) -> str:
    return f"{', '.join(site.lans)}; {site.endpoint or 'nobody can call it'}"
