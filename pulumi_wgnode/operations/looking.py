"""One look at all sites: who lets us in, what each gateway says, and what of each host is as its stack has it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import HostError, HostHangs, HostUnreachable, OutOfTime
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.hosts.ssh.way import name_of
from pulumi_wgnode.operations import sites, stacks
from pulumi_wgnode.operations.hosts import AT_ONCE, bounded
from pulumi_wgnode.operations.site_parts import Part, read_all
from pulumi_wgnode.operations.site_status import Answer, SiteStatus, ask, judge, unasked
from pulumi_wgnode.operations.sites import Known
from pulumi_wgnode.operations.stacks import SiteStack
from pulumi_wgnode.provider import registry

COMPARING = 20.0
"""Seconds that a host has to show all that is on it: many questions, some of which hash files of 50 MB."""

Parts = tuple[Part, ...]


def know_again(folder: Path, known: Sequence[Known], statuses: Sequence[SiteStatus]) -> list[Known]:
    """The states anew where something differs: somebody may have run `pulumi up` since."""
    differ = [(one.stack, one.site) for one in statuses if any(not part.well for part in one.parts)]
    return sites.know_again(folder, known, differ)


def look(known: Sequence[Known], kept: Mapping[tuple[str, str], Parts] | None = None) -> list[SiteStatus]:
    """The sites' statuses in order, all hosts asked at once; what can't be asked is one that says so.

    `kept` has, by stack and site, parts that are not to be compared again.
    """
    found = stacks.each(known, lambda one: _look_at(one, (kept or {}).get(one.key)), AT_ONCE)
    return [status for status in found if isinstance(status, SiteStatus)]


def sound(statuses: Sequence[SiteStatus]) -> dict[tuple[str, str], Parts]:
    """By stack and site, the parts of sites of which all are as wanted."""
    return {(one.stack, one.site): one.parts for one in statuses if one.parts and all(part.well for part in one.parts)}


def _look_at(known: Known, kept: Parts | None) -> SiteStatus:
    """First whether the host lets us in, since a host that does is not away, however slow it is; nor is one that takes
    longer for that than a host that is away, of which ssh/login.py knows by then."""
    stack, site = known.stack, known.site
    if isinstance(site, ExplainedError):
        return unasked(stack, stack, "no host", site)
    host = name_of(site.connection)
    try:
        reach(site)
        answer = _ask(site)
    except HostError as error:
        return unasked(stack, site.site, host, error)
    return judge(stack, site.site, host, answer, kept or parts_of(known, site), time.time())


def reach(site: SiteStack) -> None:
    bounded(lambda site: pool.connect(site.connection), site, late=OutOfTime)


def _ask(site: SiteStack) -> Answer:
    """Raises HostError. A connection that broke in the middle is of a host that is away only where none can be made."""
    try:
        return bounded(lambda site: ask(pool.connect(site.connection), site.site), site, late=OutOfTime)
    except HostUnreachable as error:
        reach(site)
        raise HostHangs(str(error)) from None


def parts_of(known: Known, site: SiteStack) -> Parts | ExplainedError:
    """Or why nobody can tell."""
    recorded = known.recorded
    if isinstance(recorded, ExplainedError):
        return recorded
    try:
        return bounded(lambda site: read_all(recorded, site.connection, registry.kind), site, COMPARING, OutOfTime)
    except HostError as error:
        return error
