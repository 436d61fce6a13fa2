"""`wgnode gateway`: one gateway's console, log, new start and traffic, from the operator's machine."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pulumi_wgnode.cli import options

if TYPE_CHECKING:
    from pulumi_wgnode.operations.gateways.chosen import Chosen
    from pulumi_wgnode.operations.gateways.journal import Kind, Line
    from pulumi_wgnode.operations.gateways.restart import Back

FOLLOW = 1.0
"""Seconds between two looks at a journal that is followed."""
AWAY = 5.0
"""The same while the host can't be asked."""
Command = TypeVar("Command", bound=Callable[..., Any])
SAME_CODES = """\b
Exit codes: 0 all that was asked for is told; 1 the gateway or its host can't be asked; 2 wrong usage."""


@click.group()
def command() -> None:
    """Look into one gateway, or start it anew, over SSH to its host."""


def _which(command: Command) -> Command:
    """NAME, -e and -C."""
    name = click.argument("name", shell_complete=options.site_names)
    return name(options.choose_environment()(command))


def _journal_options(command: Command) -> Command:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="For programs: an object a line; times are UTC."),
        click.option(
            "-n",
            "--lines",
            type=click.IntRange(1, 100_000),
            help="So many at first.  [default: 100, or all since --since]",
        ),
        click.option("--since", metavar="WHEN", help="An age, such as 10min, 2h or 3d, or a date and time (ISO 8601)."),
        click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until it is interrupted."),
    ):
        command = option(command)
    return _which(command)


@command.command(
    epilog=SAME_CODES
    + """

\b
Examples:
  wgnode gateway console berlin
  wgnode gateway console berlin -f            while it boots
  wgnode gateway console berlin --since 2h
"""
)
@_journal_options
def console(**given: Any) -> None:
    """Show the serial console of the gateway of the site NAME: its kernel, and the node from its first line.

    The host's journal keeps it, of guests before this one too. NAME may be the site's stack instead. Nothing can be
    typed into it: a gateway has no shell.
    """
    _show_journal("console", **given)


@command.command(
    epilog=SAME_CODES
    + """

\b
Examples:
  wgnode gateway logs berlin
  wgnode gateway logs berlin -f --since 10min
  wgnode gateway logs prod-paris --since 2026-11-30T08:00 --json | jq -r 'select(.level != "info") | .text'
"""
)
@_journal_options
def logs(**given: Any) -> None:
    """Show the log of the gateway of the site NAME: of its node, of its host's wgnode-hostd, and systemd's of both.

    NAME may be the site's stack instead. What a guest writes too quickly is left out and counted; the console has all
    that was written there.
    """
    _show_journal("logs", **given)


@command.command(
    epilog="""\b
Exit codes: 0 it runs again, with the sessions that it had; 1 it does not within
--wait, it can't be asked, or you said no; 2 wrong usage, such as nobody to ask
and no --yes.

\b
Examples:
  wgnode gateway restart berlin
  wgnode gateway restart prod-paris --yes --json | jq .outage
"""
)
@_which
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--wait", type=click.IntRange(1, 3600), default=120, show_default=True, metavar="SECONDS", help="Until it is well."
)
@click.option("--json", "as_json", is_flag=True, help="For programs; seconds since the command, by the host's clock.")
def restart(name: str, directory: Path, environment: str | None, yes: bool, wait: int, as_json: bool) -> None:
    """Start the guest of the site NAME anew, and wait until it is healthy: its node runs, and has met the peers again
    that it had sessions with.

    Its tunnels are down meanwhile; it says for how long. The guest boots what is on its host's disk, so a change that
    `pulumi up` has left half done comes into force too. NAME may be the site's stack instead.
    """
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations.gateways import asked
    from pulumi_wgnode.operations.gateways import restart as restarting

    chosen = _chosen(directory, environment, name)
    try:
        paths = chosen.paths()
        peers = restarting.awaited(asked.ask(chosen.host(), paths))
        _confirm(chosen, peers, yes)
        back = restarting.restart(chosen.host(), paths, peers, wait)
    except ExplainedError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps({"site": chosen.name, "healthy": back.healthy, "outage": back.outage} | asdict(back)))
    else:
        click.echo(_told(chosen.name, back, wait))
    sys.exit(0 if back.healthy else 1)


@command.command(
    epilog=SAME_CODES
    + """
Rates are of what the tunnel carries, as `wg show` counts it: in is from the peer.

\b
Examples:
  wgnode gateway top berlin
  wgnode gateway top berlin --once
  wgnode gateway top berlin --json | jq -c '.peers[] | {peer, rx_rate, tx_rate}'
"""
)
@_which
@click.option("--once", is_flag=True, help="One look, at the rates of one interval.")
@click.option(
    "--interval", type=click.FloatRange(0.5, 3600), default=2.0, show_default=True, metavar="SECONDS", help="Of rates."
)
@click.option("--json", "as_json", is_flag=True, help="For programs: an object a look; bits a second, bytes, seconds.")
def top(name: str, directory: Path, environment: str | None, once: bool, interval: float, as_json: bool) -> None:
    """Show what passes between the gateway of the site NAME and each of its peers, busiest first, until interrupted.

    NAME may be the site's stack instead.
    """
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations.gateways import asked, traffic

    chosen = _chosen(directory, environment, name)
    before = None
    try:
        paths = chosen.paths()
        for number in itertools.count():
            now = asked.ask(chosen.host(), paths)
            if now.problem and once:
                raise click.ClickException(f"site {chosen.name}: {now.problem}")
            if number or now.problem:
                found = traffic.flows(before, now)
                _show_flows(chosen.name, now.at, found, traffic.render(chosen.name, now, found), as_json)
            if once and number:
                return
            before = now
            time.sleep(interval)
    except ExplainedError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        if once:
            raise


def _chosen(directory: Path, environment: str | None, name: str) -> Chosen:
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import stacks
    from pulumi_wgnode.operations.gateways.chosen import choose

    try:
        return choose(stacks.project_folder(directory), environment, name)
    except ExplainedError as error:
        raise click.UsageError(str(error)) from None


def _show_journal(
    kind: Kind,
    name: str,
    directory: Path,
    environment: str | None,
    follow: bool,
    since: str | None,
    lines: int | None,
    as_json: bool,
) -> None:
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations.gateways import journal

    try:
        begin = [journal.since(since, datetime.now().astimezone())] if since else []
    except ValueError as error:
        raise click.UsageError(f"--since: {error}") from None
    chosen = _chosen(directory, environment, name)
    begin += [f"--lines={lines or 100}"] if lines or not since else []
    shown = 0
    try:
        reader = journal.Reader(kind, chosen.paths(), begin)
        for line in _lines(chosen, reader.read, follow):
            click.echo(_as_json(line) if as_json else _as_text(line, kind))
            shown += 1
    except ExplainedError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        if not follow:
            raise
    if not shown and not follow:
        click.echo("note: its host's journal has nothing of that", err=True)


def _lines(chosen: Chosen, read: Callable[[Any], Iterator[Line]], follow: bool) -> Iterator[Line]:
    """Whoever follows goes on when the host is back."""
    from pulumi_wgnode.hosts.host import HostError

    away = False
    while True:
        try:
            yield from read(chosen.host())
            away = False
        except HostError as error:
            if not follow:
                raise
            if not away:
                click.echo(f"! {error}", err=True)
            away = True
        if not follow:
            return
        time.sleep(AWAY if away else FOLLOW)


def _as_json(line: Line) -> str:
    told = {"time": datetime.fromtimestamp(line.at, UTC).isoformat(timespec="microseconds")}
    return json.dumps(told | {"level": line.level, "source": line.source, "text": line.text}, ensure_ascii=False)


def _as_text(line: Line, kind: Kind) -> str:
    """In the zone of whoever reads."""
    at = datetime.fromtimestamp(line.at).astimezone().isoformat(" ", "milliseconds")
    return f"{at}  {line.text}" if kind == "console" else f"{at}  {line.level:7}  {line.source:7}  {line.text}"


def _confirm(chosen: Chosen, peers: list[str], yes: bool) -> None:
    if yes:
        return
    if not _is_terminal():
        raise click.UsageError("nobody can be asked whether to restart it; say --yes")
    of = f" with {', '.join(peers)}" if peers else ""
    click.confirm(f"Start the gateway of {chosen.name} anew? Its tunnels{of} are down meanwhile", abort=True, err=True)


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _told(name: str, back: Back, wait: int) -> str:
    if back.healthy:
        sessions = ", ".join(f"{peer} after {at:.1f} s" for peer, at in sorted(back.sessions.items()))
        told = f"{name}: its node runs again after {back.running:.1f} s"
        return f"{told}; sessions: {sessions}; an outage of {back.outage:.1f} s" if sessions else told
    return f"{name}: not healthy within {wait} s: {back.problem}; see `wgnode gateway console {name}`"


def _show_flows(name: str, at: float, found: list[Any], table: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"site": name, "time": at, "peers": [asdict(flow) for flow in found]}))
        return
    if sys.stdout.isatty():
        click.clear()
    click.echo(table)
