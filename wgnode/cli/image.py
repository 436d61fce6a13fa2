"""`wgnode image`: build the appliance image, look into it, renew its lock."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from wgnode.image import apt, lock, renew
from wgnode.image.build import PROJECT, Built, cache_directory, listing
from wgnode.image.build import build as build_image
from wgnode.image.errors import ImageError

FILE = click.Path(path_type=Path, dir_okay=False)


class Reported(click.ClickException):
    """An ImageError as the command's last words."""


@click.group()
def command() -> None:
    """Build and inspect appliance images."""


@command.command()
@click.option("--output", type=FILE, default=PROJECT / "build/image/appliance.tar", show_default="build/image/...")
@click.option("--lock", "lock_file", type=FILE, default=PROJECT / "image.lock", show_default="image.lock")
@click.option("--requirements", type=FILE, default=PROJECT / "requirements.lock", show_default="requirements.lock")
@click.option("--renew-if-gone", is_flag=True, help="Take newer signed packages when a pinned one is gone.")
@click.option("--json", "as_json", is_flag=True, help="Print what was built as JSON on standard output.")
def build(output: Path, lock_file: Path, requirements: Path, renew_if_gone: bool, as_json: bool) -> None:
    """Build the appliance image, unless it is already there."""
    try:
        built: Built = build_image(output, lock_file, requirements, renew_if_gone=renew_if_gone, report=_report)
    except ImageError as error:
        raise Reported(str(error)) from None
    if as_json:
        click.echo(json.dumps(asdict(built)))


@command.command("lock")
@click.option("--output", type=FILE, default=PROJECT / "image.lock", show_default="image.lock")
def lock_command(output: Path) -> None:
    """Renew image.lock against the distribution's signed release files."""
    try:
        before = lock.parse(output.read_text()) if output.is_file() else []
        packages = renew.renewed(cache_directory(), apt.machine_mirrors(), _report)
    except (ImageError, lock.LockError) as error:
        raise Reported(str(error)) from None
    for line in lock.changes(before, packages) or ["nothing has changed"]:
        click.echo(line)
    output.write_text(lock.render(packages))


@command.command("list")
@click.argument("image", type=FILE)
def list_command(image: Path) -> None:
    """Print what is in an image's initial file system."""
    try:
        click.echo("\n".join(listing(image)))
    except ImageError as error:
        raise Reported(str(error)) from None


def _report(line: str) -> None:
    click.echo(line, err=True)
