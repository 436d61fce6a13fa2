"""`wgnode image nanos`: check the parts of Nanos that its user brings, and make a gateway's image of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any, TypeVar

import click

from wgnode.image.best import FOLDER
from wgnode.image.errors import ImageError
from wgnode.image.nanos.appliance import appliance_files
from wgnode.image.nanos.build import NanosImage, build, mkfs_arguments
from wgnode.image.nanos.manifest import manifest
from wgnode.image.nanos.parts import Finding, Parts, checked, kernel_version, located
from wgnode.nanos import fits
from wgnode.nanos.words import Environment
from wgnode.nodeconfig import ConfigError, NodeConfig
from wgnode.topology.transit import Transit

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER_PATH = click.Path(path_type=Path, file_okay=False)
OF_TRANSIT = Transit.of(v6=None)
WARNING = "Nanos as a gateway is experimental: no kernel of it has run this node yet (docs/how-to/nanos.md)"
Value = TypeVar("Value")


@click.command(
    epilog="""\b
Exit codes: 0 all is there, and the image is made where one was asked for; 1 a part is missing or wrong, or the
configuration does not fit; 2 wrong usage.

\b
Examples:
  wgnode image nanos --nanos-dir ~/nanos
  NANOS_DIR=~/nanos wgnode image nanos --lan 192.168.7.1/24
  wgnode image nanos --nanos-dir ~/nanos --config config.json --dry-run --json | jq -r .manifest
"""
)
@click.option(
    "--nanos-dir", type=FOLDER_PATH, help="Where all parts are: a release, or a built clone  [env: NANOS_DIR]"
)
@click.option("--kernel", type=FILE, help="Nanos' kernel, built with IP_FORWARD 1  [env: NANOS_KERNEL]")
@click.option("--boot", type=FILE, help="Its boot image  [env: NANOS_BOOT]")
@click.option("--klibs", type=FOLDER_PATH, help="The folder with its klibs, tun among them  [env: NANOS_KLIBS]")
@click.option("--mkfs", type=FILE, help="Its mkfs, which makes the image  [env: NANOS_MKFS]")
@click.option(
    "--config", type=FILE, help="The gateway's node configuration: its cards' addresses, and whether it fits."
)
@click.option("--lan", metavar="ADDRESS/LENGTH", help="The gateway's address in the LAN, without a configuration.")
@click.option("--transit", metavar="ADDRESS/LENGTH", default=OF_TRANSIT.guest[0], show_default=True)
@click.option("--next-hop", metavar="ADDRESS", default=OF_TRANSIT.gateways[0], show_default=True)
@click.option("--image", type=FILE, default=FOLDER / "appliance.tar", show_default="build/image/appliance.tar")
@click.option("--output", type=FILE, default=FOLDER / "nanos.img", show_default="build/image/nanos.img")
@click.option("--dry-run", is_flag=True, help="Print the manifest and mkfs's command, and make nothing.")
@click.option("--json", "as_json", is_flag=True, help="For programs: findings, manifest, command, image and error.")
@click.pass_context
def nanos(
    ctx: click.Context,
    nanos_dir: Path | None,
    kernel: Path | None,
    boot: Path | None,
    klibs: Path | None,
    mkfs: Path | None,
    config: Path | None,
    lan: str | None,
    transit: str,
    next_hop: str,
    image: Path,
    output: Path,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Check the parts of Nanos that you bring, and make a gateway's image of them. Experimental.

    Without --config or --lan the parts are checked only. Of each that is missing or wrong it says how upstream makes
    it. The appliance image's own files go in; secrets never do: a running gateway has them from its host, by a share.
    """
    parts = located(os.environ, {"directory": nanos_dir, "kernel": kernel, "boot": boot, "klibs": klibs, "mkfs": mkfs})
    told, problems = _environment(config, lan, transit, next_hop)
    findings = checked(parts)
    found: dict[str, Any] = {"findings": [asdict(each) for each in findings], "problems": problems}
    click.echo(f"warning: {WARNING}", err=True)
    if not as_json:
        _show(findings, problems)
    stopped = bool(problems) or any(each.stops for each in findings)
    try:
        if told is not None and dry_run:
            found |= _planned(told, image, parts, output)
            if not as_json:
                click.echo(found["manifest"] + " ".join(found["command"]))
        elif told is not None and not stopped:
            found["image"] = asdict(made := build(told, appliance_files(image), parts, output))
            if not as_json:
                _show_made(made)
    except (ImageError, ValueError, OSError) as error:
        if not as_json:
            raise click.ClickException(str(error)) from None
        found["error"], stopped = str(error), True
    if as_json:
        click.echo(json.dumps(found, indent=2))
    ctx.exit(1 if stopped else 0)


def _environment(
    config: Path | None, lan: str | None, transit: str, next_hop: str
) -> tuple[Environment | None, list[str]]:
    """What the image will know, None for none, and what of the configuration does not fit."""
    if config is None:
        if lan is None:
            return None, []
        cards = _option("--transit", IPv4Interface, transit), _option("--next-hop", IPv4Address, next_hop)
        return Environment(*cards, _option("--lan", IPv4Interface, lan)), []
    if lan is not None:
        raise click.UsageError("--config has the LAN's address; leave --lan out")
    try:
        node = NodeConfig.from_json(config.read_bytes())
    except (OSError, ConfigError) as error:
        raise click.UsageError(f"--config: {error}") from None
    if problems := fits.problems(node):
        return None, problems
    return fits.environment(node), []


def _option(name: str, kind: Callable[[str], Value], text: str) -> Value:
    try:
        return kind(text)
    except ValueError as error:
        raise click.UsageError(f"{name}: {error}") from None


def _planned(told: Environment, image: Path, parts: Parts, output: Path) -> dict[str, Any]:
    mkfs = str(parts.mkfs or "mkfs")
    return {
        "manifest": manifest(told, appliance_files(image), kernel_version(parts)),
        "command": mkfs_arguments(mkfs, "boot.img", "kernel.img", str(output)),
    }


def _show(findings: list[Finding], problems: list[str]) -> None:
    for each in findings:
        click.echo(f"{each.part:<7} {each.state:<8} {each.said}")
        if each.how and each.state != "good":
            click.echo(f"{'':<16} {each.how}")
    for problem in problems:
        click.echo(f"{'config':<7} {'wrong':<8} {problem}")


def _show_made(made: NanosImage) -> None:
    click.echo(f"{made.path}: {made.size / 2**20:.1f} MiB, sha256 {made.sha256}, Nanos {made.kernel}")
