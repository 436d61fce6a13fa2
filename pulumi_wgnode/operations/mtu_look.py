"""Asking all chosen sites what their nodes know of their paths."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import HostError, OutOfTime
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.hosts.ssh.login import name_of
from pulumi_wgnode.operations import site_status, sites, stacks
from pulumi_wgnode.operations.hosts import bounded
from pulumi_wgnode.operations.mtu_judge import Asked
from pulumi_wgnode.operations.sites import Known
from pulumi_wgnode.operations.stacks import SiteStack


def ask(folder: Path, names: Iterable[str]) -> list[Asked]:
    """In the order of the stacks; what can't be asked says why."""
    known = sites.know(folder, list(names), states=False)
    return [one for one in stacks.each(known, lambda one: _ask(folder, one), 32) if isinstance(one, Asked)]


def _ask(folder: Path, known: Known) -> Asked:
    stack, site = known.stack, known.site
    if isinstance(site, ExplainedError):
        return Asked(stack, stacks.site_name(folder, stack) or stack, "no host", "unknown", str(site))
    host = name_of(site.connection)
    try:
        answer = bounded(_answer, site, late=OutOfTime)
    except HostError as error:
        status = site_status.unasked(stack, site.site, host, error).status
        return Asked(stack, site.site, host, status, str(error))
    status = str(answer.health.get("status") or "none")
    problem = "" if status == "running" else next(site_status.gateway_problems(status, answer.health))
    carrier = answer.config.carrier if answer.config else None
    return Asked(stack, site.site, host, status, problem, answer.health, carrier)


def _answer(site: SiteStack) -> site_status.Answer:
    return site_status.ask(pool.connect(site.connection), site.site)
