"""`wgnode mtu`: the path MTU to each peer and from it, what vouches for it, and where a carrier's profile is wrong."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pulumi_wgnode.cli import options

if TYPE_CHECKING:
    from pulumi_wgnode.operations.mtu_judge import Asked, Pair
    from pulumi_wgnode.operations.mtu_look import Sites


PROBING = 7.0
"""Seconds that a search is given, and one of the way back after it: each is exact within 3, at 50 ms round trip."""
LONGEST = 30.0
"""Seconds that one on a busy machine, or over a path that loses much, is waited for in all."""


@click.command(
    epilog="""\b
Sizes are bytes of the largest IP packet outside; "inside" is what fits into it
in the tunnel. Each direction is told by the node that sends that way:
  probe    a probe of this size was answered
  echo     of a peer that is not ours: after --probe, its answer of this size
           came in one piece
  memory   it was so before the gateway's last start; not tried yet
  profile  the carrier's profile says so; not tried yet
  hint     ICMP said so, and the peer answers no probes
  unknown  nothing vouches for it: the last size, or what most paths carry

\b
Exit codes: 0 all that was asked for is told; 1 something is not: lines with
"!" say what; 2 wrong usage. Lines with "?" are worth a look.

\b
Examples:
  wgnode mtu                       all sites of the project's folder
  wgnode mtu cabin                 one site, with each of its peers
  wgnode mtu cabin berlin --history
  wgnode mtu cabin berlin --probe  search anew, then show
  wgnode mtu --device wg0          what a `wgnode device` of this machine knows
  wgnode mtu --carriers            the networks that `carrier:` may name
  wgnode mtu --json | jq -c '.pairs[] | {site, peer, to: .sends.size, from: .receives.size}'
"""
)
@click.argument("site", required=False, shell_complete=options.site_names)
@click.argument("peer", required=False, shell_complete=options.site_names)
@options.choose_stacks
@click.option(
    "--probe", is_flag=True, help="Search anew first, both ways; takes some seconds, and a few kilobytes each."
)
@click.option("--history", is_flag=True, help="Also the sizes before, newest first.")
@click.option("--json", "as_json", is_flag=True, help="For programs; sizes in bytes, ages in seconds, with history.")
@click.option("--device", metavar="NAME", help="Of a `wgnode device` of this machine instead, as root; PEER is a key.")
@click.option("--carriers", is_flag=True, help="List what `carrier:` in a site's stack file may say, and leave.")
def command(
    site: str | None,
    peer: str | None,
    directory: Path,
    environment: str | None,
    stacks: Sequence[str],
    probe: bool,
    history: bool,
    as_json: bool,
    device: str | None,
    carriers: bool,
) -> None:
    """Show the path MTU between SITE and PEER, or between all sites, each way for itself.

    PEER is the name of a site, or the public key of any peer. Nodes find their path MTU themselves, and keep to it;
    this shows what they have found. The gateways' hosts are asked over SSH, all at once: those of all sites that are
    chosen, since what passes from a peer to a site is the peer's to say.
    """
    if carriers:
        return _list_carriers(as_json)
    if device:
        return _of_device(device, site, probe, history, as_json)
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import mtu_judge, mtu_look
    from pulumi_wgnode.operations import stacks as stack_files

    try:
        folder = stack_files.project_folder(directory)
        sites = mtu_look.Sites(folder, options.chosen(folder, environment, stacks))
        asked = sites.ask()
    except ExplainedError as error:
        raise click.UsageError(str(error)) from None
    if site is not None and site not in {one.site for one in asked}:
        known = ", ".join(sorted(one.site for one in asked))
        raise click.UsageError(f"site {site!r} is none of those that are chosen: {known}")
    if probe and not mtu_judge.unknown_peer(asked, site, peer):
        wrong = sites.probe(mtu_judge.to_probe(asked, site, peer))
        asked = [mtu_judge.with_problem(one, wrong.get(one.stack)) for one in _searched(sites)]
    pairs = mtu_judge.pairs(asked, time.time(), site, peer)
    wanted = [one for one in asked if site in (None, one.site)]
    if peer is not None and mtu_judge.unknown_peer(asked, site, peer):
        raise click.UsageError(f"peer {peer!r} is none of {site}'s: {', '.join(_peers(wanted)) or 'it has none'}")
    _show(wanted, pairs, history, as_json)
    sys.exit(1 if any(one.problem for one in wanted) else 0)


def _searched(sites: Sites) -> list[Asked]:
    """As soon as nobody searches any more, or after LONGEST."""
    from pulumi_wgnode.operations import mtu_judge

    until = time.monotonic() + LONGEST
    time.sleep(PROBING)
    while mtu_judge.searching(asked := sites.ask()) and time.monotonic() < until:
        time.sleep(1)
    return asked


def _of_device(name: str, peer: str | None, probe: bool, history: bool, as_json: bool) -> None:
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import mtu_device, mtu_judge

    try:
        wrong = mtu_device.probe(name, peer) if probe else ""
        time.sleep(PROBING if probe and not wrong else 0)
        asked = [mtu_judge.with_problem(mtu_device.ask(name), wrong)]
    except ExplainedError as error:
        raise click.ClickException(str(error)) from None
    _show(asked, mtu_judge.pairs(asked, time.time(), name, peer), history, as_json)
    sys.exit(1 if wrong else 0)


def _peers(asked: Sequence[Asked]) -> list[str]:
    return sorted({raw.get("name") or raw["public_key"] for one in asked for raw in one.health.get("peers", ())})


def _show(asked: Sequence[Asked], pairs: Sequence[Pair], history: bool, as_json: bool) -> None:
    from pulumi_wgnode.operations.mtu_table import render

    if not as_json:
        return click.echo(render(asked, pairs, history=history))
    sites = [{name: value for name, value in asdict(one).items() if name != "health"} for one in asked]
    click.echo(json.dumps({"sites": sites, "pairs": [asdict(pair) for pair in pairs]}, indent=2))


def _list_carriers(as_json: bool) -> None:
    from wgnode.carriersfile import shipped

    rows = shipped().rows
    if as_json:
        return click.echo(json.dumps([asdict(row) for row in rows], indent=2))
    width = max(len(row.name) for row in rows)
    for row in rows:
        click.echo(f"{row.name:{width}}  {row.wire:5}  {row.direction:4}  {row.sure:11}  {row.networks}; {row.source}")
