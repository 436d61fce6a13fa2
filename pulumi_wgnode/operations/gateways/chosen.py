"""The gateway that a person names, and the host it runs on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts import owners
from pulumi_wgnode.hosts.host import Host, OutOfTime
from pulumi_wgnode.hosts.query import answer
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.operations import sites, stacks
from pulumi_wgnode.operations.hosts import bounded
from pulumi_wgnode.operations.stacks import SiteStack, StackError
from wgnode.image.paths import Paths


@dataclass(frozen=True)
class Chosen:
    """A site that is asked over SSH."""

    site: SiteStack

    @property
    def name(self) -> str:
        return self.site.site

    def host(self) -> Host:
        """The process's one connection to it, made anew where it broke. Raises HostError."""
        return bounded(lambda site: pool.connect(site.connection), self.site, late=OutOfTime)

    def paths(self) -> Paths:
        """Where on the host its gateway is. Raises HostError."""
        return owners.paths_of(answer(self.host(), owners.QUERY), self.name)


def choose(folder: Path, environment: str | None, name: str) -> Chosen:
    """The site of this name, or of the stack of this name. Raises StackError, also where several are meant."""
    names = stacks.site_stacks(folder, environment)
    plain = [stack for stack in names if name in (stack, stacks.site_name(folder, stack))]
    known = sites.know(folder, plain or names, states=False)
    found = [one for one in known if name in (one.stack, *one.key)]
    if len(found) > 1:
        both = ", ".join(one.stack for one in found)
        raise StackError(f"{name!r} is the site of several stacks: {both}; name one of them, or its --environment")
    if not found:
        there = ", ".join(sorted({one.key[1] for one in known}))
        raise StackError(f"no site is called {name!r}; there are: {there}")
    site = found[0].site
    if isinstance(site, ExplainedError):
        raise site
    return Chosen(site)
