"""`wgnode user`: people and their devices, a line each in their site's stack file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from wgnode.cli import clientconfig, userchange, userfile, userkeys, usershow
from wgnode.cli import useroptions as options
from wgnode.cli.clientconfig import NO_SEGNO, ClientConfig, qr_lines, write_png
from wgnode.cli.userchange import existing, moment, write
from wgnode.cli.userfile import DAY, SiteFile, UserError
from wgnode.cli.useroptions import EXIT_CODES
from wgnode.topology import access, user_problems, users
from wgnode.topology.homes import second_homes


@click.group()
def command() -> None:
    """Add people and their devices to a site, list, disable and remove them."""


for each in (userchange.disable, userchange.expire, userchange.remove, usershow.list_command, usershow.show):
    command.add_command(each)


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
        keys, until, others = userkeys.keys_for(public_key), moment(expires), options.files({**where, "site": None})
        if (there := file.device(name, device)) is not None:
            if public_key not in (None, there.get("publicKey")):
                raise UserError(f"{name}/{device} is there with another key; `wgnode user rotate` gives it a new one")
            today = int(time.time()) // DAY
            write(file, userfile.with_public(_member(file, name, groups, until), name, today))
            click.echo(f"{name}/{device} is there already; `wgnode user rotate` makes a new key for it", err=True)
            return

        def edit(file: SiteFile) -> SiteFile:
            today = int(time.time()) // DAY
            member = userfile.with_public(_member(file, name, groups, until), name, today)
            return userfile.added(member, name, device, keys.public, today)

        _give(file, edit, name, device, keys, others, (png, qr))


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
        existing(file, name, device)
        keys = userkeys.keys_for(public_key)
        path = ("users", name, "devices", device, "publicKey")
        others = options.files({**where, "site": None})
        _give(file, lambda file: file.put(*path, value=keys.public), name, device, keys, others, (png, qr))


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
    others: Sequence[SiteFile],
    shown: tuple[Path | None, bool | None],
) -> None:
    """Judge, write, and show what the device is given. Nothing is written before all of it is known."""
    made = edit(file)
    known, topology = made.understood(), userkeys.mesh_of(file)
    if problems := [*user_problems.mesh_problems(topology, file.name, known), *_other_homes(made, others)]:
        raise UserError("\n".join(problems))
    if (secret := userkeys.device_secret(file)) is None:
        file, secret = userkeys.with_new_secret(file)
        made = edit(file)
    known = made.understood()
    mine = next(one for one in known.devices if one.label == f"{name}/{device}")
    preshared = users.preshared_key(secret, mine.public_key)
    given = (mine.addresses, keys.private, preshared, access.ways(topology, made.name, known, mine))
    config, (png, qr) = clientconfig.of_device(topology, made.name, *given), shown
    if png is not None and not write_png(config.text(), png):  # before anything that could not be shown once more
        click.echo(NO_SEGNO, err=True)
    write(file, made)
    for said in users.without_groups(made.name, {name: made.users[name]}):
        click.echo(f"note: {said}", err=True)
    _show(config, qr)
    click.echo(f"now run: pulumi up -s {file.stack}", err=True)


def _other_homes(made: SiteFile, others: Sequence[SiteFile]) -> Iterator[str]:
    """What contradicts the mesh's other sites."""
    by_site = {one.name: one.users for one in others if one.mesh == made.mesh and one.name != made.name}
    for site, problem in second_homes({**by_site, made.name: made.users}):
        if site == made.name:
            yield f"{made.path}: wgmesh:site{problem.path}: {problem.message}"


def _show(config: ClientConfig, qr: bool | None) -> None:
    text = config.text()
    if config.private_key and (sys.stderr.isatty() if qr is None else qr):
        click.echo(qr_lines(text) or NO_SEGNO, err=True)
    click.echo(text, nl=False)
