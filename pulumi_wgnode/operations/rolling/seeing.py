"""A plan's stacks as they are now: state, history, and whether their hosts answer. Looked up anew as often as asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import HostError
from pulumi_wgnode.operations import looking, recorded, sites, stacks
from pulumi_wgnode.operations.hosts import AT_ONCE
from pulumi_wgnode.operations.rolling.planning import MeshState, mesh_digests
from pulumi_wgnode.operations.rolling.states import SiteState
from pulumi_wgnode.operations.rolling.tags import Tags
from pulumi_wgnode.operations.site_status import why_not
from wgnode.rollout.facts import Bound, Seen
from wgnode.rollout.fingerprint import fingerprint
from wgnode.rollout.picture import Digests, Unknown
from wgnode.rollout.plan import Plan

Use = Callable[[str, Mapping[str, Any]], object]


@dataclass
class Eyes:
    """`seen` has every stack that was looked at, None for one whose state can't be read (`unread` says why);
    `away` why a host does not answer. `reach` is whether hosts are asked at all."""

    folder: Path
    plan: Plan
    tags: Tags
    reach: bool = True
    seen: dict[str, Seen | None] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    away: dict[str, str] = field(default_factory=dict)
    _key: bytes = b""
    _known: dict[str, sites.Known] = field(default_factory=dict)

    def look(self, names: Iterable[str], use: Use = lambda stack, deployment: None) -> None:
        """At these; the mesh's first, whose secret the fingerprints need. `use` is told of each state that is read."""
        chosen = [name for name in self.plan.stacks if name in set(names)]
        self._reach(chosen)
        first = [self.plan.mesh] if self.plan.mesh in chosen or not self._key else []
        for group in (first, [name for name in chosen if name != self.plan.mesh]):
            stacks.each(group, lambda name: use(name, self.state(name)))

    def look_at_hosts(self, names: Iterable[str]) -> None:
        """Of these only whether they answer: nothing has changed their stacks."""
        self._reach(names)
        for name in names:
            if now := self.seen.get(name):
                self.seen[name] = replace(now, reachable=name not in self.away)

    def state(self, name: str) -> Mapping[str, Any]:
        """As it is now, which is what is seen of the stack from now on. Raises StackError."""
        try:
            deployment = recorded.export(self.folder, name)
            self.seen[name] = self._judged(name, deployment)
        except ExplainedError as error:
            self.seen[name], self.unread[name] = None, str(error)
            raise
        self.unread.pop(name, None)
        return deployment

    def _judged(self, name: str, deployment: Mapping[str, Any]) -> Seen:
        """Raises StackError."""
        digests = self._mesh(deployment) if name == self.plan.mesh else self._site(name, deployment)
        if not self._key:
            raise stacks.StackError(f"stack {name!r} can't be judged: {self.unread.get(self.plan.mesh, 'no mesh')}")
        history = self.tags.read(name).lines
        return Seen(digests, fingerprint(deployment, self._key), history, name not in self.away)

    def _mesh(self, deployment: Mapping[str, Any]) -> Digests:
        mesh = MeshState.of(self.plan.mesh, deployment)
        self._key = mesh.key
        return mesh_digests(mesh.topology, mesh.inputs, self.plan.unknown)

    def _site(self, name: str, deployment: Mapping[str, Any]) -> Digests:
        return digests_of(self.plan.stacks[name], name, deployment, self.plan.unknown)

    def _reach(self, chosen: Iterable[str]) -> None:
        """A host that is there and lets us not in is no more use to us than one that is away, but is not told as one:
        the engine says why it refuses."""
        names = [name for name in chosen if self.reach and name in self.plan.course.sites]
        fresh = [name for name in names if name not in self._known]
        for one in sites.know(self.folder, fresh, states=False) if fresh else []:
            self._known[one.stack] = one
        there = [self._known[name] for name in names if name in self._known]
        answers = stacks.each(there, _reached, AT_ONCE)
        for one, said in zip(there, answers, strict=True):
            self.away.pop(one.stack, None)
            if isinstance(said, HostError) and why_not(said) == "away":
                self.away[one.stack] = str(said)


def digests_of(bound: Bound, stack: str, deployment: Mapping[str, Any], unknown: Unknown) -> Digests:
    """Those that the plan could predict. Raises StackError."""
    picture = SiteState.of(stack, deployment).picture
    found = picture.digests(unknown) if picture else {}
    return {part: digest for part, digest in found.items() if part in bound.after}


def _reached(known: sites.Known) -> None:
    if isinstance(known.site, ExplainedError):
        raise known.site
    looking.reach(known.site)
