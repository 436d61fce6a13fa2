"""`wgnode status`: what the gateways of an environment say, and whether their hosts are as deployed, asked at once."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pulumi_wgnode.cli import options

if TYPE_CHECKING:
    from pulumi_wgnode.operations.site_status import SiteStatus
    from pulumi_wgnode.operations.sites import Known

INTERVAL = 2.0
"""Seconds between two looks of --watch."""
COMPARED = 15
"""Looks of --watch after which a host that was as wanted is compared again: each time it hashes its whole image."""


@click.command(
    epilog="""\b
Exit codes: 0 all gateways run, hosts and nodes are as deployed, sessions alive;
1 something is not, or can't be told: lines with "!" say what; 2 wrong usage.
Lines with "?" are of what may as well be in order.

The first word of a site:
  running  the gateway's node runs; or booting, stopped, silent, failed, none;
           unreachable is a gateway whose host answers, but not its hostd
  away     its host does not answer
  refused  its host answers, but lets us not in (key, host key, sudo)
  unknown  nobody could ask: the stack can't be read, or the host is too slow

Examples:
  wgnode status                            all sites of the project's folder
  wgnode status --environment prod --watch
  wgnode status -s prod-paris --json | jq -r '.sites[].peers[] | select(.handshake_age == null) | .name'
  wgnode status --json | jq -c '.sites[] | select(.healthy | not) | {site, status, problems}'
"""
)
@options.choose_stacks
@click.option("--json", "as_json", is_flag=True, help="For programs; ages in seconds, traffic in bytes.")
@click.option("--watch", is_flag=True, help="Look again every 2 s, at a host that was as wanted every 30 s.")
def command(directory: Path, environment: str | None, stacks: Sequence[str], as_json: bool, watch: bool) -> None:
    """Show what each site's gateway runs, its peers, and what is wrong.

    Each host is compared with what the last `pulumi up` of its stack recorded, as `pulumi preview` would: links,
    addresses, routes, kernel settings, packages, files and services, the firewall rule by rule, the image, and the
    node's keys and peers. Nothing is changed.

    Hosts are asked over SSH, all at once; one has 10 s to let us in, 10 s to tell of its gateway and 20 s to be
    compared. A session is expected, so a missing handshake is a problem, where one of the two sites keeps it alive:
    the one that nobody can call. Two sites that both can be called have none while they have nothing to say. Sites
    that left the mesh's configuration, and whose keys and addresses rest in its state, are listed last.
    """
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import endpoint_notes, looking, sites
    from pulumi_wgnode.operations import stacks as stack_files

    try:
        folder = stack_files.project_folder(directory)
        names = options.chosen(folder, environment, stacks)
    except ExplainedError as error:
        raise click.UsageError(str(error)) from None
    known = sites.know(folder, names, named=bool(stacks))
    meshes = _meshes(folder, known)
    resting = {mesh: outputs.get("resting") or {} for mesh, outputs in meshes.items()}
    code = 0
    shown: list[SiteStatus] = []
    try:
        for number in itertools.count():
            seen = looking.look(known, looking.sound(shown) if number % COMPARED else None)
            shown = endpoint_notes.added(seen, known, meshes)
            code = _show(shown, resting, as_json, clear=watch and sys.stdout.isatty())
            if not watch:
                break
            time.sleep(INTERVAL)
            known = looking.know_again(folder, known, shown)
    except KeyboardInterrupt:
        if not watch:
            raise
    sys.exit(code)


def _meshes(folder: Path, known: Sequence[Known]) -> dict[str, dict[str, Any]]:
    """What the meshes' stacks say, by stack. A mesh that can't be read is told and is no site's fault."""
    from pulumi_wgnode.operations import stacks as stack_files

    names = sorted({one.site.mesh for one in known if not isinstance(one.site, Exception) and one.site.mesh})
    found = {}
    answers = stack_files.each(names, lambda mesh: stack_files.mesh_outputs(folder, mesh))
    for mesh, outputs in zip(names, answers, strict=True):
        if isinstance(outputs, Exception):
            click.echo(f"note: what rests in {mesh} is not known: {outputs}", err=True)
        else:
            found[mesh] = outputs
    return found


def _show(sites: Sequence[SiteStatus], resting: Mapping[str, Mapping[str, Any]], as_json: bool, clear: bool) -> int:
    """Print, and say by the exit code whether all is well; what rests is."""
    from pulumi_wgnode.operations.status_table import render, render_resting

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
