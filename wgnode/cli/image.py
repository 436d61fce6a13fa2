"""`wgnode image`: build the appliance image, look into it, renew its lock."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from wgnode.cli.nanosimage import nanos
from wgnode.image import apt, best, compared, lock, renew, sbom
from wgnode.image.architecture import AMD64, ARCHITECTURES, COMPILED
from wgnode.image.archive import Members, read_members
from wgnode.image.build import PROJECT, Built, cache_directory, listing
from wgnode.image.build import build as build_image
from wgnode.image.errors import ImageError
from wgnode.image.variants import Variant

FILE = click.Path(path_type=Path, dir_okay=False)


class Reported(click.ClickException):
    """An ImageError as the command's last words."""


class NotCompared(Reported):
    """Is neither "equal" nor "different"."""

    exit_code = 2


@click.group()
def command() -> None:
    """Build and inspect appliance images."""


command.add_command(nanos)


@command.command(
    epilog="""\b
Exit codes: 0 built, or there already; 1 it can't be; 2 wrong usage.

\b
Examples:
  wgnode image build
  wgnode image build --without-fastpath --json | jq -r .path
"""
)
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
@click.option(
    "--arch",
    type=click.Choice(list(ARCHITECTURES)),
    default=AMD64.name,
    show_default=True,
    help="The processor of the hosts that it is for, whatever this one's. arm64 has no compiled data plane.",
)
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
    arch: str,
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
    architecture = ARCHITECTURES[arch]
    if architecture not in COMPILED and (local_fastpath or take_best or fastpath_wheel):
        raise click.UsageError(f"there is no compiled data plane for {arch}: its image is a plain one")
    plain = without_fastpath or architecture not in COMPILED
    variant = Variant.PLAIN if plain else Variant.LOCAL if local_fastpath else Variant.PINNED
    locks = (lock_file, requirements)
    try:
        built: Built = (
            best.build_best(*locks, renew_if_gone=renew_if_gone, report=_report)
            if take_best
            else build_image(
                output or best.FOLDER / variant.file_of(architecture),
                *locks,
                variant=variant,
                architecture=architecture,
                fastpath_wheel=fastpath_wheel,
                renew_if_gone=renew_if_gone,
                report=_report,
            )
        )
    except ImageError as error:
        raise Reported(str(error)) from None
    if as_json:
        click.echo(json.dumps(asdict(built)))


@command.command(
    "lock",
    epilog="""\b
Example:
  wgnode image lock && git diff image.lock
""",
)
@click.option("--output", type=FILE, default=PROJECT / "image.lock", show_default="image.lock")
def lock_command(output: Path) -> None:
    """Renew image.lock against the distribution's signed release files, for every architecture."""
    try:
        text = output.read_text(encoding="utf-8") if output.is_file() else ""
        before = lock.parse(text) if text else []
        extension = lock.parse_extension(text) if f"\n{lock.EXTENSION} " in text else None
        told = cache_directory(), apt.machine_mirrors(), _report
        packages = [package for each in ARCHITECTURES.values() for package in renew.renewed(*told, each)]
    except (ImageError, lock.LockError) as error:
        raise Reported(str(error)) from None
    for line in lock.changes(before, packages) or ["nothing has changed"]:
        click.echo(line)
    output.write_text(lock.render(packages, extension), encoding="utf-8")


@command.command(
    "list",
    epilog="""\b
Example:
  wgnode image list build/image/appliance.tar
""",
)
@click.argument("image", type=FILE)
def list_command(image: Path) -> None:
    """Print what is in an image's initial file system."""
    try:
        click.echo("\n".join(listing(image)))
    except ImageError as error:
        raise Reported(str(error)) from None


@command.command(
    epilog="""\b
Exit codes: 0 the same; 1 they differ; 2 one can't be read, or wrong usage.

\b
Examples:
  wgnode image diff build/image/appliance.tar debug.tar
  wgnode image diff old.tar new.tar --json | jq -r '.layers["initramfs.zst"].added[].path'
"""
)
@click.argument("image", type=FILE)
@click.argument("other", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="For programs: by layer, with modes, sizes and digests.")
@click.pass_context
def diff(ctx: click.Context, image: Path, other: Path, as_json: bool) -> None:
    """Show what OTHER has that IMAGE has not, what it lacks, and what is another there.

    By layer: the fields of the manifest (packages and wheels by version), the kernel, and each file of the initial file
    system by its mode and content. A gateway's configuration and secrets are on its host, and no part of an image.
    """
    try:
        found = compared.differences(read_members(image), read_members(other))
    except (ImageError, ValueError) as error:
        raise NotCompared(str(error)) from None
    click.echo(json.dumps(compared.to_dict(found), indent=2) if as_json else compared.text(found))
    ctx.exit(1 if found else 0)


@command.command(
    "sbom",
    epilog="""\b
Exit codes: 0 written; 1 the image can't be read; 2 wrong usage.

\b
Examples:
  wgnode image sbom build/image/appliance.tar > appliance.cdx.json
  wgnode image sbom build/image/appliance.tar | jq -r '.components[].purl'
""",
)
@click.argument("image", type=FILE)
def sbom_command(image: Path) -> None:
    """Print an image's software bill of materials: CycloneDX 1.6, as JSON.

    Debian's packages, wheels, our own code, and the crates of the compiled data plane, where the image has the one that
    image.lock pins. The same image has the same bill.
    """
    try:
        members = read_members(image)
        told = sbom.bill(members, _crates(members))
    except (ImageError, lock.LockError, OSError, KeyError) as error:
        raise Reported(str(error)) from None
    click.echo(json.dumps(told, indent=2, ensure_ascii=False))


def _crates(members: Members) -> list[sbom.Crate]:
    """Those of this clone, where the image has its compiled data plane."""
    extension, folder = members.description.get("extension"), PROJECT / "fastpath"
    lock_file = PROJECT / "image.lock"
    pinned = lock.parse_extension(lock_file.read_text(encoding="utf-8")).files if lock_file.is_file() else None
    if extension == pinned:
        return sbom.crates((folder / "Cargo.toml").read_text(), (folder / "Cargo.lock").read_text())
    if extension:
        _report("image: the compiled data plane is not the one that image.lock pins here: its crates are not told")
    return []


def _report(line: str) -> None:
    click.echo(line, err=True)
