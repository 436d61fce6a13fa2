"""`wgnode user disable`, `expire`, `remove`: what a stack file says of a user is changed, and shown as a diff."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any

import click

from wgnode import yamlfile
from wgnode.cli import userfile
from wgnode.cli import useroptions as options
from wgnode.cli.userfile import DAY, SiteFile, UserError
from wgnode.cli.useroptions import EXIT_CODES
from wgnode.topology import users


@click.command(
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
        existing(file, name, device)
        path = ("users", name, *(("devices", device) if device else ()), "disabled")
        write(file, file.take(*path) if undo else file.put(*path, value=True))


@click.command(
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
        until = None if when == "never" else moment(when)
        path = ("users", name, "expires")
        write(file, file.take(*path) if until is None else file.put(*path, value=until))


@click.command(
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
        write(file, userfile.removed(file, name, device, int(time.time()) // DAY))


def existing(file: SiteFile, name: str, device: str | None) -> None:
    if device and file.device(name, device) is None:
        there = ", ".join((file.users[name] or {}).get("devices") or {}) or "none"
        raise UserError(f"user {name!r} has no device {device!r} (there are: {there})")


def moment(text: str | None) -> str | None:
    """As it is written. Raises ValueError for what is no time, or over."""
    if text is not None and users.moment(text) <= time.time():
        raise UserError(f"{text} is over already; `wgnode user disable` ends it at once")
    return text


def write(file: SiteFile, made: SiteFile) -> None:
    """What the program would refuse is not written, nor what somebody else has changed since it was read. Raises
    UserError, OSError."""
    made.understood()
    with _alone(file.path.parent):
        if path := file.stale():
            raise UserError(f"{path} was changed by somebody else meanwhile; nothing was written, do it once more")
        _write(file, made)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Among those who write by this."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(file: SiteFile, made: SiteFile) -> None:
    before = file.texts
    changed = {path: text for path, text in made.texts.items() if text != before.get(path, "")}
    if not changed:
        click.echo(f"{file.path} has it so already; nothing to do", err=True)
    for path, text in changed.items():
        was, named = before.get(path, ""), str(path)
        click.echo(
            "\n".join(unified_diff(was.splitlines(), text.splitlines(), named, named, n=2, lineterm="")), err=True
        )
    for path, text in changed.items():
        if text:
            yamlfile.write(path, text)
        else:
            path.unlink()
