"""What gateways' hosts have counted of devices, for commands that know only stack files: found by its entry point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import OutOfTime
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.operations import site_status, sites, stacks
from pulumi_wgnode.operations.counted import counted_of
from pulumi_wgnode.operations.hosts import AT_ONCE, bounded
from pulumi_wgnode.operations.sites import Known
from pulumi_wgnode.operations.stacks import SiteStack

Found = Mapping[str, dict[str, Any]]


def of_stacks(directory: Path, names: Sequence[str]) -> dict[str, Found | str]:
    """By stack, what is counted of each peer by its name (counted.Counted), or why that is not known."""
    try:
        known = sites.know(stacks.project_folder(directory), names, states=False)
    except ExplainedError as error:
        return dict.fromkeys(names, str(error))
    found = stacks.each(known, _ask, AT_ONCE)
    return {
        one.stack: str(told) if isinstance(told, Exception) else told for one, told in zip(known, found, strict=True)
    }


def _ask(known: Known) -> Found:
    if isinstance(known.site, ExplainedError):
        raise known.site
    accounts = bounded(_answer, known.site, late=OutOfTime).accounts
    gone_first = sorted(accounts, key=lambda one: one.left is None)
    return {one.name: asdict(counted) for one in gone_first if (counted := counted_of(one))}


def _answer(site: SiteStack) -> site_status.Answer:
    return site_status.ask(pool.connect(site.connection), site.site)
