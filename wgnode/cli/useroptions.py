"""What the commands of `wgnode user` have in common: options with completion, and which stack file is meant."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from wgnode.cli import userfile
from wgnode.cli.userfile import SiteFile, UserError

Command = TypeVar("Command", bound=Callable[..., Any])
Where = dict[str, Any]
"""The options of `where`, by name."""
UNITS = "bytes, packets, sessions, and seconds since 1970."
EXIT_CODES = """\b
Exit codes: 0 done, or there was nothing to do; 1 refused, or could not be done; 2 wrong usage.
"""


def names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Of sites, users, devices and groups that the stack files have."""
    try:
        files = userfile.found(Path(ctx.params.get("directory") or "stacks"), None, None)
    except (UserError, OSError):
        return []
    named = {"site": [file.name for file in files], "name": [user for file in files for user in file.users]}
    user = str(ctx.params.get("name"))
    named["device"] = [one for file in files for one in (file.users.get(user) or {}).get("devices") or {}]
    named["groups"] = [group for file in files for group in file.site.get("groups") or {}]
    found = sorted(set(named.get(parameter.name or "", ())))
    return [CompletionItem(one) for one in found if one.startswith(incomplete)]


def where(command: Command) -> Command:
    """Where the site's stack file is."""
    for option in (
        click.option("--site", shell_complete=names, help="The site.  [default: the only one that it can be]"),
        click.option("-e", "--environment", help="Stacks ENVIRONMENT-*.  [default: all of the folder]"),
        click.option(
            "--directory", type=click.Path(path_type=Path, file_okay=False), default="stacks", show_default=True
        ),
    ):
        command = option(command)
    return command


name = click.argument("name", shell_complete=names)
device = click.option("--device", required=True, shell_complete=names, help="The device's name, like phone.")
maybe_device = click.option("--device", shell_complete=names, help="This device only.  [default: the user]")
public_key = click.option("--public-key", help="The device's own key, base64: its private half stays there.")
png = click.option(
    "--png", type=click.Path(path_type=Path, dir_okay=False), help="Write the QR code into this file (0600)."
)
qr = click.option("--qr/--no-qr", default=None, help="Show the QR code.  [default: in a terminal]")


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """What is refused, or can't be read or written, ends the command with its reason."""
    try:
        yield
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None


def files(where: Where) -> list[SiteFile]:
    return userfile.found(where["directory"], where["environment"], where["site"])


def of_user(name: str, where: Where) -> SiteFile:
    with refusals():
        return userfile.one_of([file for file in files(where) if name in file.users], f"has a user {name!r}")


def chosen(where: Where, first: Callable[[SiteFile], bool], else_: Callable[[SiteFile], bool], what: str) -> SiteFile:
    """The site that is named, else the only one of the first kind, else of the second."""
    with refusals():
        there = files(where)
        if where["site"]:
            return userfile.one_of(there, f"is called {where['site']!r}")
        known = [file for file in there if first(file)]
        return userfile.one_of(known or [file for file in there if else_(file)], what)
