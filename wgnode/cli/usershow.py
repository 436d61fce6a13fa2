"""`wgnode user list` and `show`: what stack files say of people, and what gateways have counted of their devices."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from wgnode import denied
from wgnode.cli import userfile, usertable
from wgnode.cli import useroptions as options
from wgnode.cli.userfile import SiteFile
from wgnode.cli.useroptions import EXIT_CODES
from wgnode.topology import users

ASKS = "wgnode.asks"
"""Entry points of what asks hosts, which is on the operator's side (docs/decisions/operator-commands.md)."""


@click.command(
    "list",
    epilog=EXIT_CODES
    + """
\b
Examples:
  wgnode user list
  wgnode user list --counted
  wgnode user list --site berlin --json | jq -r '.devices[] | select(.state == "expired") | .user'
""",
)
@click.option("--counted", is_flag=True, help="Ask the sites' hosts, over SSH, what they have counted.")
@click.option("--json", "as_json", is_flag=True, help=f"For programs; {options.UNITS}")
@options.where
def list_command(counted: bool, as_json: bool, **where: Any) -> None:
    """List all devices of the folder's sites, as their stack files have them.

    With --counted also when each was seen last, and what it has sent and received in all.
    """
    with options.refusals():
        files = options.files(where)
        if where["site"] and not files:
            raise userfile.UserError(f"no stack file here is of a site that is called {where['site']!r}")
        rows = [row for file in files for row in usertable.rows(file)]
    if counted:
        _count(rows, files, where["directory"])
    if as_json:
        click.echo(json.dumps({"devices": rows}, indent=2))
        return
    usertable.table(rows)


@click.command(
    epilog=EXIT_CODES
    + """
\b
Examples:
  wgnode user show alice
  wgnode user show alice --json
"""
)
@options.name
@click.option("--offline", is_flag=True, help="Ask nobody what was counted.")
@click.option("--json", "as_json", is_flag=True, help=f"For programs; {options.UNITS}")
@options.where
def show(name: str, offline: bool, as_json: bool, **where: Any) -> None:
    """Show NAME's groups, time and devices, as the stack file has them.

    And what the site's host has counted of each device, whatever gateways there were: it is asked over SSH. Sent is
    what went to the device. Where it can't be asked, a note says why. Of packets that the access policy denied the
    newest kinds are told, with the lines of the stack file that decide.
    """
    file = options.of_user(name, where)
    with options.refusals():
        rows = [row for row in usertable.rows(file) if row["user"] == name]
    if not offline:
        _count(rows, [file], where["directory"])
    user = file.users[name] or {}
    expires = user.get("expires")
    told = {
        "user": name,
        "site": file.name,
        "groups": user.get("groups") or [],
        "expires": None if expires is None else userfile.date_of(users.moment(expires)),
        "disabled": bool(user.get("disabled")),
        "devices": rows,
    }
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    groups = ", ".join(user.get("groups") or []) or "none, so no device can connect"
    click.echo(f"{name} at {file.name}; groups: {groups}; expires: {told['expires'] or 'never'}")
    usertable.table(rows)
    for row in rows:
        for seen in (row["counted"] or {}).get("endpoints", ()):
            first, last = (userfile.date_of(int(seen[name])) for name in ("first", "last"))
            click.echo(f"  {row['device']} came from {seen['endpoint']}, {first} to {last}")
        for line in _denied(file, row):
            click.echo(f"  {row['device']}: {line}")


def _denied(file: SiteFile, row: dict[str, Any]) -> Iterator[str]:
    """What was denied to a device, with the places in the stack file that decide it."""
    counted = row["counted"] or {}
    if not counted.get("denied"):
        return
    yield f"{counted['denied']} packets denied in all"
    for one in counted["denials"]:
        when = userfile.date_of(int(one["at"]))
        where = ", ".join(
            f"{path} ({file.path}:{line})"
            for path, line in denied.places(file.text, row["groups"], outgoing=one["outgoing"])
        )
        yield f"denied {when}: {denied.words(one)}" + (f"; see {where}" if where and not one["rule"] else "")


def _count(rows: Sequence[dict[str, Any]], files: Sequence[SiteFile], directory: Path) -> None:
    """Puts in what is counted of each device; notes say what is not known."""
    asks = {one.name: one for one in entry_points(group=ASKS)}
    if "accounts" not in asks:
        click.echo("note: what was counted is not known without the package pulumi_wgnode", err=True)
        return
    found = asks["accounts"].load()(directory, [file.stack for file in files])
    for file in files:
        told = found.get(file.stack, "no such stack")
        if isinstance(told, str):
            click.echo(f"note: what was counted at {file.name} is not known: {told}", err=True)
            continue
        for row in rows:
            if row["site"] == file.name:
                row["counted"] = told.get(f"{row['user']}/{row['device']}")
