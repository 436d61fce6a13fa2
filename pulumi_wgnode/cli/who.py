"""`wgnode who`: which device had an address, now or at a time, as the gateway that answered for it was configured."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pulumi_wgnode.cli import options

if TYPE_CHECKING:
    from pulumi_wgnode.operations.whose import Verdict
    from wgnode.hostd.holders import Holding


@click.command(
    epilog="""\b
Exit codes: 0 it was a device's, which is shown; 1 it was nobody's, or can't be
told: lines with "!" say why; 2 wrong usage.

\b
Examples:
  wgnode who 10.1.0.130
  wgnode who 10.1.0.130 --at 2027-01-31T18:00:00Z
  wgnode who 203.0.113.33 --at 2027-01-31T18:00:00Z
  wgnode who fd00:10:1::1001 -e prod --json | jq -r '.sites[].holdings[] | "\\(.user) \\(.device)"'
"""
)
@click.argument("address")
@click.option("--at", metavar="TIME", help="2027-01-31, or 2027-01-31T18:00:00Z (UTC).  [default: now]")
@click.option("--json", "as_json", is_flag=True, help="For programs; times are seconds since 1970.")
@options.choose_stacks
def command(
    address: str, at: str | None, as_json: bool, directory: Path, environment: str | None, stacks: Sequence[str]
) -> None:
    """Show which device had ADDRESS: its user, its name and its public key.

    Each site's host records which device had which address from when to when, by the configuration that its gateway
    ran, and keeps that when the device is removed and the address is another's. Where the asked time lies within a
    change, both sides of it are shown. ADDRESS may be a
    public one of a group with `egress: pool`. The record begins with the first `pulumi up` of a version that keeps it.
    """
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import stacks as stack_files
    from pulumi_wgnode.operations import whose

    wanted, moment = _address(address), _moment(at)
    try:
        folder = stack_files.project_folder(directory)
        names = options.chosen(folder, environment, stacks)
        found = whose.ask(folder, names, bool(stacks), wanted, moment)
    except ExplainedError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        told = {"address": wanted, "at": moment, "sites": [whose.to_dict(one) for one in found]}
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo("\n".join(_lines(wanted, found)))
    sys.exit(0 if any(one.state == "held" for one in found) else 1)


def _address(text: str) -> str:
    from wgnode.topology import networks

    try:
        address = networks.parse_address(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="ADDRESS") from None
    return str(getattr(address, "ipv4_mapped", None) or address)


def _moment(text: str | None) -> float | None:
    from wgnode.topology import users

    try:
        moment = None if text is None else float(users.moment(text))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from None
    if moment is not None and moment > time.time():
        raise click.BadParameter(f"{text} is still to come", param_hint="--at")
    return moment


def _lines(address: str, found: Sequence[Verdict]) -> Iterator[str]:
    """Whose it was; where nobody is known, who might know."""
    for verdict in found:
        if verdict.state == "held":
            behind = f" ({verdict.inside[0]} in the LAN)" if verdict.inside else ""
            yield f"{address}{behind} at {verdict.site}: {_held(verdict.holdings[0])}"
        elif verdict.state == "changing":
            yield f"! {address} at {verdict.site} was given or taken away just then:"
            yield from (f"  {_held(one)}" for one in verdict.holdings)
    if any(verdict.state in ("held", "changing") for verdict in found):
        return
    asked = ", ".join(verdict.site for verdict in found if verdict.state == "nobody's")
    yield f"! {address} was no device's at {asked}" if asked else f"! whose {address} was is not known"
    for verdict in found:
        if verdict.state == "not recorded":
            begun = "has not begun yet" if verdict.since is None else f"begins at {_time(verdict.since)}"
            yield f"! {verdict.site}: its host's record {begun}"
        elif verdict.state == "not asked":
            yield f"! {verdict.site}: {verdict.problem}"


def _held(one: Holding) -> str:
    """Of a moment that is known to lie between two, the one that is certain."""
    until = "" if one.ended is None else f" until {_time(one.ended[0])}"
    expires = "" if one.expires is None else f", expires {_time(one.expires)}"
    return f"{one.name}  key {one.key}  since {_time(one.begun[1])}{until}{expires}"


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
