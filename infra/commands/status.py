"""`wgnode status`: what the gateways of an environment say of themselves, asked over SSH at once."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from infra.commands import options

if TYPE_CHECKING:
    from infra.commands.site_status import SiteStatus
    from infra.commands.stacks import SiteStack

INTERVAL = 2.0
"""Seconds between two looks of --watch."""


@click.command(
    epilog="""\b
Exit codes: 0 all healthy, 1 something is wrong (it is said), 2 wrong usage.
Examples:
  wgnode status                            all sites of the project's folder
  wgnode status --environment prod --watch
  wgnode status -s prod-paris --json | jq -r '.sites[].peers[] | select(.handshake_age == null) | .name'
"""
)
@options.choose_stacks
@click.option("--json", "as_json", is_flag=True, help="For programs; ages in seconds, traffic in bytes.")
@click.option("--watch", is_flag=True, help="Look again every 2 s, until Ctrl-C.")
def command(directory: Path, environment: str | None, stacks: Sequence[str], as_json: bool, watch: bool) -> None:
    """Show what the sites' gateways run, and whom they talk to.

    Hosts are asked over SSH, all at once and none for longer than 10 s. A session is expected, so a missing handshake
    is a problem, where one of the two sites keeps it alive: the one that nobody can call. Two sites that both can be
    called have none while they have nothing to say. Sites that left the mesh's configuration, and whose keys and
    addresses rest in its state, are listed last.
    """
    from infra.commands import stacks as stack_files
    from infra.errors import ExplainedError

    try:
        folder = stack_files.project_folder(directory)
        names = options.chosen(folder, environment, stacks)
    except ExplainedError as error:
        raise click.UsageError(str(error)) from None
    known = list(zip(names, stack_files.each(names, lambda name: stack_files.read_site(folder, name)), strict=True))
    resting = _resting(folder, known)
    code = 0
    try:
        while True:
            code = _show(look(known), resting, as_json, clear=watch and sys.stdout.isatty())
            if not watch:
                break
            time.sleep(INTERVAL)
    except KeyboardInterrupt:
        if not watch:
            raise
    sys.exit(code)


def look(known: Sequence[tuple[str, SiteStack | Exception]]) -> list[SiteStatus]:
    """The sites' statuses in order; a stack that can't be read is one that says so."""
    from infra.commands.hosts import ask_all
    from infra.commands.site_status import ask, away, judge
    from infra.commands.stacks import SiteStack
    from infra.hosts import pool
    from infra.hosts.ssh import name_of

    sites = [site for _, site in known if isinstance(site, SiteStack)]
    answers = dict(
        zip(
            (site.stack for site in sites),
            ask_all(sites, lambda s: ask(pool.connect(s.connection), s.site)),
            strict=True,
        )
    )
    statuses: list[SiteStatus] = []
    for stack, site in known:
        if isinstance(site, Exception):
            statuses.append(away(stack, stack, "no host", site))
            continue
        answer, host = answers[stack], name_of(site.connection)
        if isinstance(answer, Exception):
            statuses.append(away(stack, site.site, host, answer))
        else:
            statuses.append(judge(stack, site.site, host, answer, time.time()))
    return statuses


def _resting(folder: Path, known: Sequence[tuple[str, SiteStack | Exception]]) -> dict[str, dict[str, Any]]:
    """What rests, by the mesh's stack and by name. A mesh that can't be read is told and is no site's fault."""
    from infra.commands import stacks as stack_files

    meshes = sorted({site.mesh for _, site in known if not isinstance(site, Exception)})
    found = {}
    for mesh, resting in zip(meshes, stack_files.each(meshes, lambda m: stack_files.resting(folder, m)), strict=True):
        if isinstance(resting, Exception):
            click.echo(f"note: what rests in {mesh} is not known: {resting}", err=True)
        else:
            found[mesh] = resting
    return found


def _show(sites: Sequence[SiteStatus], resting: Mapping[str, Mapping[str, Any]], as_json: bool, clear: bool) -> int:
    """Print, and say by the exit code whether all is well; what rests is."""
    from infra.commands.status_table import render, render_resting

    healthy = all(site.healthy for site in sites)
    if clear:
        click.clear()
    if as_json:
        listed = [asdict(site) | {"healthy": site.healthy} for site in sites]
        told = {"healthy": healthy, "sites": listed, "resting": resting}
        click.echo(json.dumps(told, indent=None if clear else 2))
    else:
        click.echo("\n\n".join([render(sites), *render_resting(resting)]))
    return 0 if healthy else 1
