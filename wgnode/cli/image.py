"""`wgnode image`: build the appliance image, look into it, renew its lock."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from wgnode.image import apt, best, lock, renew
from wgnode.image.build import PROJECT, Built, cache_directory, listing
from wgnode.image.build import build as build_image
from wgnode.image.errors import ImageError
from wgnode.image.variants import Variant

FILE = click.Path(path_type=Path, dir_okay=False)


class Reported(click.ClickException):
    """An ImageError as the command's last words."""


@click.group()
def command() -> None:
    """Build and inspect appliance images."""


@command.command()
@click.option(
    "--output", type=FILE, help="Where to write it  [default: build/image/appliance.tar, or one named as its kind]"
)
@click.option("--lock", "lock_file", type=FILE, default=PROJECT / "image.lock", show_default="image.lock")
@click.option("--requirements", type=FILE, default=PROJECT / "requirements.lock", show_default="requirements.lock")
@click.option("--without-fastpath", is_flag=True, help="Another image, appliance-plain.tar: several times slower.")
@click.option(
    "--local-fastpath", is_flag=True, help="Another image, appliance-local.tar: with the one that is installed here."
)
@click.option("--best", "take_best", is_flag=True, help="The first of the three that can be built here.")
@click.option("--fastpath-wheel", type=FILE, help="The pinned compiled data plane, made on another machine.")
@click.option("--renew-if-gone", is_flag=True, help="Take newer signed packages when a pinned one is gone.")
@click.option("--json", "as_json", is_flag=True, help="Print what was built as JSON on standard output.")
def build(
    output: Path | None,
    lock_file: Path,
    requirements: Path,
    without_fastpath: bool,
    local_fastpath: bool,
    take_best: bool,
    fastpath_wheel: Path | None,
    renew_if_gone: bool,
    as_json: bool,
) -> None:
    """Build the appliance image, unless it is already there.

    With the compiled data plane that image.lock pins, or not at all: another image has to be asked for.
    """
    if without_fastpath + local_fastpath + take_best + (fastpath_wheel is not None) > 1:
        raise click.UsageError("of --without-fastpath, --local-fastpath, --best and --fastpath-wheel, give one")
    if take_best and output:
        raise click.UsageError("--best names its image itself; leave --output out")
    variant = Variant.PLAIN if without_fastpath else Variant.LOCAL if local_fastpath else Variant.PINNED
    locks = (lock_file, requirements)
    try:
        built: Built = (
            best.build_best(*locks, renew_if_gone=renew_if_gone, report=_report)
            if take_best
            else build_image(
                output or best.FOLDER / variant.file_name,
                *locks,
                variant=variant,
                fastpath_wheel=fastpath_wheel,
                renew_if_gone=renew_if_gone,
                report=_report,
            )
        )
    except ImageError as error:
        raise Reported(str(error)) from None
    if as_json:
        click.echo(json.dumps(asdict(built)))


@command.command("lock")
@click.option("--output", type=FILE, default=PROJECT / "image.lock", show_default="image.lock")
def lock_command(output: Path) -> None:
    """Renew image.lock against the distribution's signed release files."""
    try:
        text = output.read_text(encoding="utf-8") if output.is_file() else ""
        before = lock.parse(text) if text else []
        extension = lock.parse_extension(text) if f"\n{lock.EXTENSION} " in text else None
        packages = renew.renewed(cache_directory(), apt.machine_mirrors(), _report)
    except (ImageError, lock.LockError) as error:
        raise Reported(str(error)) from None
    for line in lock.changes(before, packages) or ["nothing has changed"]:
        click.echo(line)
    output.write_text(lock.render(packages, extension), encoding="utf-8")


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
