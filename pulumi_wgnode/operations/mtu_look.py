"""Asking all chosen sites what their nodes know of their paths, and having them search anew."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts import owners
from pulumi_wgnode.hosts.host import Host, HostError, OutOfTime
from pulumi_wgnode.hosts.query import answer
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.hosts.ssh.way import name_of
from pulumi_wgnode.operations import site_status, sites, stacks
from pulumi_wgnode.operations.hosts import bounded
from pulumi_wgnode.operations.mtu_judge import Asked
from pulumi_wgnode.operations.sites import Known
from pulumi_wgnode.operations.stacks import SiteStack
from wgnode.image.units import instance_option

AT_ONCE = 32
_PROBE = """hostd=$1; shift
exec /usr/bin/python3 -I "$(ls -t "$hostd"/*.pyz | head -n 1)" probe "$@\""""


class Sites:
    """Those of these stacks. Raises ExplainedError where none can be read."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self._folder = folder
        self._known = sites.know(folder, list(names), states=False)

    def ask(self) -> list[Asked]:
        """In the order of the stacks; what can't be asked says why."""
        found = stacks.each(self._known, self._ask, AT_ONCE)
        return [one for one in found if isinstance(one, Asked)]

    def probe(self, keys: Mapping[str, str | None]) -> dict[str, str]:
        """By stack the peer to search to (its public key), None for all. By stack, what went wrong."""
        chosen = [one.site for one in self._known if one.stack in keys and isinstance(one.site, SiteStack)]
        said = stacks.each(
            chosen, lambda site: bounded(partial(_probe, keys[site.stack]), site, late=OutOfTime), AT_ONCE
        )
        return {site.stack: str(wrong) for site, wrong in zip(chosen, said, strict=True) if wrong}

    def _ask(self, known: Known) -> Asked:
        stack, site = known.stack, known.site
        if isinstance(site, ExplainedError):
            name = stacks.site_name(self._folder, stack) or stack
            return Asked(stack, name, "no host", "unknown", str(site))
        host = name_of(site.connection)
        try:
            told = bounded(_answer, site, late=OutOfTime)
        except HostError as error:
            status = site_status.unasked(stack, site.site, host, error).status
            return Asked(stack, site.site, host, status, str(error))
        status = str(told.health.get("status") or "none")
        problem = "" if status == "running" else next(site_status.gateway_problems(status, told.health))
        carrier, searches = (told.config.carrier, told.config.path_mtu) if told.config else (None, True)
        return Asked(stack, site.site, host, status, problem, told.health, carrier, searches)


def _answer(site: SiteStack) -> site_status.Answer:
    return site_status.ask(pool.connect(site.connection), site.site)


def _probe(key: str | None, site: SiteStack) -> str:
    """What went wrong, "" for nothing. Raises HostError."""
    return probe(pool.connect(site.connection), site.site, key)


def probe(host: Host, site: str, key: str | None) -> str:
    """Have the site's node search its path to a peer anew. What went wrong, "" for nothing. Raises HostError."""
    paths = owners.paths_of(answer(host, owners.QUERY), site)
    words = [paths.hostd_directory, *instance_option(paths), *(["--peer", key] if key else [])]
    said = host.run(["sh", "-c", _PROBE, "probe", *words], check=False, timeout=20)
    if said.code == 0:
        return ""
    try:
        return f"it does not probe: {json.loads(said.stdout)['error']}"
    except (ValueError, KeyError, TypeError):
        return "it does not probe: its hostd is broken, or older than this; `pulumi up` of its stack renews it"
