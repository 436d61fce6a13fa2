"""`wgnode user`: people and their devices, a line each in their site's stack file."""

from __future__ import annotations

import difflib
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from wgnode import yamlfile
from wgnode.cli import clientconfig, userfile, userkeys, usertable
from wgnode.cli import useroptions as options
from wgnode.cli.clientconfig import NO_SEGNO, ClientConfig, qr_lines, write_png
from wgnode.cli.userfile import DAY, SiteFile, UserError
from wgnode.topology import user_problems, users

EXIT_CODES = """\b
Exit codes: 0 done, or there was nothing to do; 1 refused, or could not be done; 2 wrong usage.
"""


@click.group()
def command() -> None:
    """Add people and their devices to a site, list, disable and remove them."""


@command.command(
    epilog=EXIT_CODES
    + """
\b
Examples:
  wgnode user add alice --device phone --group staff
  wgnode user add alice --device laptop --public-key KEY --site berlin > alice.conf
  wgnode user add bob --device phone --group guests --expires 2027-01-31 --png bob.png
"""
)
@options.name
@options.device
@click.option("--group", "groups", multiple=True, shell_complete=options.names, help="Make the user a member; repeat.")
@click.option("--expires", help="When the user is refused: 2027-01-31, or 2027-01-31T18:00:00Z (UTC).")
@options.public_key
@options.png
@options.qr
@options.where
def add(
    name: str,
    device: str,
    groups: Sequence[str],
    expires: str | None,
    public_key: str | None,
    png: Path | None,
    qr: bool | None,
    **where: Any,
) -> None:
    """Add NAME's device to a site's stack file, and print the configuration that the device is given.

    The device gets the next free addresses of the site's pool. Without --public-key a key pair is made; its private
    half is in what is printed, shown this once and kept nowhere. The diff and the QR code go to standard error, the
    configuration to standard output. The device can connect after the next `pulumi up` of the site's stack. What is
    there already stays as it is.
    """
    file = options.chosen(
        where, lambda file: name in file.users, lambda file: bool(file.site.get("pool")), "has a pool"
    )
    with options.refusals():
        keys, until = userkeys.keys_for(public_key), _moment(expires)
        if (there := file.device(name, device)) is not None:
            if public_key not in (None, there.get("publicKey")):
                raise UserError(f"{name}/{device} is there with another key; `wgnode user rotate` gives it a new one")
            _write(file, _member(file, name, groups, until))
            click.echo(f"{name}/{device} is there already; `wgnode user rotate` makes a new key for it", err=True)
            return

        def edit(file: SiteFile) -> SiteFile:
            return userfile.added(
                _member(file, name, groups, until), name, device, keys.public, int(time.time()) // DAY
            )

        _give(file, edit, name, device, keys, (png, qr))


@command.command(
    epilog=EXIT_CODES
    + """
\b
Example:
  wgnode user rotate alice --device phone
"""
)
@options.name
@options.device
@options.public_key
@options.png
@options.qr
@options.where
def rotate(name: str, device: str, public_key: str | None, png: Path | None, qr: bool | None, **where: Any) -> None:
    """Give NAME's device a new key, at the same addresses, and print its new configuration.

    The old key works until the next `pulumi up` of the site's stack.
    """
    file = options.of_user(name, where)
    with options.refusals():
        _existing(file, name, device)
        keys = userkeys.keys_for(public_key)
        path = ("users", name, "devices", device, "publicKey")
        _give(file, lambda file: file.put(*path, value=keys.public), name, device, keys, (png, qr))


@command.command(
    epilog=EXIT_CODES
    + """
\b
Examples:
  wgnode user disable alice --device phone
  wgnode user disable alice --undo
"""
)
@options.name
@options.maybe_device
@click.option("--undo", is_flag=True, help="Let it connect again.")
@options.where
def disable(name: str, device: str | None, undo: bool, **where: Any) -> None:
    """Let NAME, or one device, not connect any more; addresses and keys stay theirs.

    The next `pulumi up` of the site's stack ends the sessions.
    """
    file = options.of_user(name, where)
    with options.refusals():
        _existing(file, name, device)
        path = ("users", name, *(("devices", device) if device else ()), "disabled")
        _write(file, file.take(*path) if undo else file.put(*path, value=True))


@command.command(
    epilog=EXIT_CODES
    + """
\b
Examples:
  wgnode user expire alice 2027-01-31
  wgnode user expire alice never
"""
)
@options.name
@click.argument("when")
@options.where
def expire(name: str, when: str, **where: Any) -> None:
    """Refuse NAME's devices from WHEN on: a day (its beginning), a time (UTC), or never.

    The gateway does it by its own clock, once it has been told by `pulumi up`.
    """
    file = options.of_user(name, where)
    with options.refusals():
        moment = None if when == "never" else _moment(when)
        path = ("users", name, "expires")
        _write(file, file.take(*path) if moment is None else file.put(*path, value=moment))


@command.command(
    epilog=EXIT_CODES
    + """
\b
Examples:
  wgnode user remove alice --device phone
  wgnode user remove alice
"""
)
@options.name
@options.maybe_device
@options.where
def remove(name: str, device: str | None, **where: Any) -> None:
    """Take NAME, or one device, out of the stack file.

    The addresses rest for 90 days, so that it stays clear whose they were. The next `pulumi up` of the site's stack
    ends the sessions.
    """
    with options.refusals():
        files = [file for file in options.files(where) if name in file.users]
        if not files or (device and all(file.device(name, device) is None for file in files)):
            click.echo("there is none such; nothing to do", err=True)
            return
        file = userfile.one_of(files, f"has a user {name!r}")
        _write(file, userfile.removed(file, name, device, int(time.time()) // DAY))


@command.command(
    "list",
    epilog=EXIT_CODES
    + """
\b
Examples:
  wgnode user list
  wgnode user list --site berlin --json | jq -r '.devices[] | select(.state == "expired") | .user'
""",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@options.where
def list_command(as_json: bool, **where: Any) -> None:
    """List all devices of the folder's sites, as their stack files have them."""
    with options.refusals():
        rows = [row for file in options.files(where) for row in usertable.rows(file)]
    if as_json:
        click.echo(json.dumps({"devices": rows}, indent=2))
        return
    usertable.table(rows)


@command.command(
    epilog=EXIT_CODES
    + """
\b
Examples:
  wgnode user show alice
  wgnode user show alice --json
"""
)
@options.name
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@options.where
def show(name: str, as_json: bool, **where: Any) -> None:
    """Show NAME's groups, time and devices, as the stack file has them."""
    file = options.of_user(name, where)
    with options.refusals():
        rows = [row for row in usertable.rows(file) if row["user"] == name]
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


def _existing(file: SiteFile, name: str, device: str | None) -> None:
    if device and file.device(name, device) is None:
        there = ", ".join((file.users[name] or {}).get("devices") or {}) or "none"
        raise UserError(f"user {name!r} has no device {device!r} (there are: {there})")


def _moment(text: str | None) -> str | None:
    """As it is written. Raises ValueError for what is no time, or over."""
    if text is not None and users.moment(text) <= time.time():
        raise UserError(f"{text} is over already; `wgnode user disable` ends it at once")
    return text


def _member(file: SiteFile, name: str, groups: Sequence[str], expires: str | None) -> SiteFile:
    had = (file.users.get(name) or {}).get("groups") or []
    if more := [group for group in dict.fromkeys(groups) if group not in had]:
        file = file.put("users", name, "groups", value=[*had, *more])
    return file if expires is None else file.put("users", name, "expires", value=expires)


def _give(
    file: SiteFile,
    edit: Callable[[SiteFile], SiteFile],
    name: str,
    device: str,
    keys: userkeys.Keys,
    shown: tuple[Path | None, bool | None],
) -> None:
    """Judge, write, and show what the device is given. Nothing is written before all of it is known."""
    made = edit(file)
    known, topology = made.understood(), userkeys.mesh_of(file)
    if problems := list(user_problems.mesh_problems(topology, file.name, known)):
        raise UserError("\n".join(problems))
    if (secret := userkeys.device_secret(file)) is None:
        file, secret = userkeys.with_new_secret(file)
        made = edit(file)
    _write(file, made)
    for said in users.without_groups(made.name, {name: made.users[name]}):
        click.echo(f"note: {said}", err=True)
    mine = next(one for one in made.understood().devices if one.label == f"{name}/{device}")
    preshared = users.preshared_key(secret, mine.public_key)
    _show(clientconfig.of_device(topology, made.name, mine.addresses, keys.private, preshared), *shown)
    click.echo(f"now run: pulumi up -s {file.stack}", err=True)


def _show(config: ClientConfig, png: Path | None, qr: bool | None) -> None:
    text = config.text()
    if png is not None and not write_png(text, png):
        click.echo(NO_SEGNO, err=True)
    if config.private_key and (sys.stderr.isatty() if qr is None else qr):
        click.echo(qr_lines(text) or NO_SEGNO, err=True)
    click.echo(text, nl=False)


def _write(file: SiteFile, made: SiteFile) -> None:
    """What the program would refuse is not written."""
    made.understood()
    if made.text == file.text:
        click.echo(f"{file.path} has it so already; nothing to do", err=True)
        return
    lines = difflib.unified_diff(
        file.text.splitlines(), made.text.splitlines(), str(file.path), str(file.path), n=2, lineterm=""
    )
    click.echo("\n".join(lines), err=True)
    yamlfile.write(file.path, made.text)
