"""`wgnode site new`: a new site's stack file, its recipient key pair, and the entry for the mesh's stack."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click

from wgnode import recipient, yamlfile
from wgnode.cli import deployed
from wgnode.cli.engine import pulumi
from wgnode.cli.neighbours import MeshFile, conflicts, mesh_with
from wgnode.cli.newsite import NewSite, entry_text, mesh_entry, render, scan_command
from wgnode.topology import networks
from wgnode.topology.model import Network
from wgnode.topology.transit import Transit
from wgnode.topology.validate import site_name_problem, split_endpoint

SECRET = "wgmesh:site.recipientKey"  # noqa: S105 - the name of a setting


@click.group()
def command() -> None:
    """Write the stack file of a new site; show the public half of its key again."""


@command.command(
    epilog="""\b
Example:
  wgnode site new paris --environment prod --address 203.0.113.7 --uplink eno1 --lan-interface eno2 \\
    --lan 10.7.0.0/24 --management 192.0.2.0/24 --endpoint 203.0.113.7:51820 --add
"""
)
@click.argument("name")
@click.option("--environment", default="dev", show_default=True, help="The stack becomes ENVIRONMENT-NAME.")
@click.option("--mesh", help="The mesh's stack.  [default: ENVIRONMENT-mesh]")
@click.option("--address", "--host", required=True, help="The host's address or name for SSH.")
@click.option("--port", default=22, show_default=True, type=click.IntRange(1, 65535), help="The host's SSH port.")
@click.option("--user", default="root", show_default=True, help="root, or a user with `sudo -n`.")
@click.option("--agent", is_flag=True, help="Log in by the SSH agent instead of a key in the stack's secrets.")
@click.option("--uplink", default="eth0", show_default=True, help="The host's interface to the internet.")
@click.option("--lan-interface", default="eth1", show_default=True, help="The host's interface into its LAN.")
@click.option(
    "--lan", "lans", multiple=True, required=True, help="A network behind the site, like 10.7.0.0/24; repeat."
)
@click.option(
    "--gateway-address", "gateways", multiple=True, help="The gateway's, free, in each LAN.  [default: the 2nd]"
)
@click.option("--management", multiple=True, help="A network that SSH comes from, like 192.0.2.0/24; repeat.")
@click.option("--endpoint", help="HOST:PORT at which other sites call this one; none if nobody can.")
@click.option("--directory", type=click.Path(path_type=Path, file_okay=False), default="stacks", show_default=True)
@click.option("--add", is_flag=True, help="Put the entry into the mesh's stack file, instead of printing it.")
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False), help="Put the private key here (0600).")
def new(
    name: str,
    environment: str,
    mesh: str | None,
    lans: Sequence[str],
    gateways: Sequence[str],
    management: Sequence[str],
    endpoint: str | None,
    directory: Path,
    add: bool,
    key_file: Path | None,
    **given: Any,
) -> None:
    """Write NAME's stack file and print the entry to add to the mesh's.

    The site gets a fresh recipient key pair. The private half goes into the stack's secrets by `pulumi config set
    --secret`, or into --key-file; the public half is in the printed entry, `wgnode site public NAME` shows it again.
    What the mesh and the other sites of DIRECTORY would refuse is refused at once, and then nothing is written. So is
    what is in use by a deployed site that DIRECTORY doesn't know of, where the mesh's stack can be read.
    """
    try:
        _judge(name, lans, gateways, management, endpoint)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    site = NewSite(
        name=name,
        mesh=mesh or f"{environment}-mesh",
        stack=f"{environment}-{name}",
        lans=lans,
        gateway_addresses=gateways or [str(networks.parse(lan)[2]) for lan in lans],
        management=management,
        **given,
    )
    private, public = recipient.generate()
    entry = mesh_entry(site, public, endpoint)
    mesh_file = _fits(directory, site, entry, add)
    file = directory / f"Pulumi.{site.stack}.yaml"
    with ExitStack() as undo:
        _write_new(file, render(site), 0o644)
        undo.callback(file.unlink, missing_ok=True)
        _keep_private_half(private, site, file, key_file, undo)
        if add and mesh_file:
            _add(mesh_file)
        undo.pop_all()
    _say_how_to_go_on(site, file, entry, added=add)


@command.command(
    epilog="""\b
Examples:
  wgnode site public paris --environment prod
  wgnode site public paris --key-file paris.key
"""
)
@click.argument("name")
@click.option("--environment", default="dev", show_default=True, help="The stack is ENVIRONMENT-NAME.")
@click.option("--directory", type=click.Path(path_type=Path, file_okay=False), default="stacks", show_default=True)
@click.option(
    "--key-file", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="The private key is here."
)
def public(name: str, environment: str, directory: Path, key_file: Path | None) -> None:
    """Print the public half of NAME's recipient key, as it goes into the mesh's stack file under `recipient:`.

    The private half is taken from the stack's secrets, or from --key-file, and is not shown.
    """
    if key_file:
        private = key_file.read_text()
    else:
        stack = f"{environment}-{name}"
        _require_pulumi()
        arguments = ["config", "get", "--path", SECRET, "--stack", stack]
        said = pulumi(arguments, directory)
        if said.returncode != 0:
            raise click.ClickException(f"stack {stack} shows no {SECRET}:\n{said.stderr.strip()}")
        private = said.stdout
    try:
        click.echo(recipient.public_of(private.strip()))
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _say_how_to_go_on(site: NewSite, file: Path, entry: Mapping[str, Any], *, added: bool) -> None:
    click.echo(f"wrote {file}; look through it, then pin the host's keys:", err=True)
    click.echo(f"  {scan_command(site, file)}", err=True)
    mesh = file.with_name(f"Pulumi.{site.mesh}.yaml")
    if added:
        click.echo(f"added {site.name} to {mesh}", err=True)
        return
    click.echo(f"add this under `sites:` in {mesh}:", err=True)
    click.echo(entry_text(site.name, entry), nl=False)


def _fits(directory: Path, site: NewSite, entry: Mapping[str, Any], add: bool) -> MeshFile | None:
    """The mesh's stack file with the site in it; None where there is none. Raises ClickException, UsageError."""
    path = directory / f"Pulumi.{site.mesh}.yaml"
    if add and not path.is_file():
        raise click.ClickException(f"there is no {path} to add the site to; write it first, or leave --add away")
    try:
        problems = list(conflicts(directory, site))
        mesh = mesh_with(path, site.name, entry) if path.is_file() else None
    except ValueError as error:
        raise click.ClickException(f"{path}: {error}") from None
    problems += [problem.message for problem in mesh.problems] if mesh else []
    problems = problems or _deployed_conflicts(directory, site, mesh, entry.get("endpoint"))
    if problems:
        raise click.UsageError("\n".join(problems))
    return mesh


def _deployed_conflicts(directory: Path, site: NewSite, mesh: MeshFile | None, endpoint: str | None) -> list[str]:
    """Of what the mesh's stack has deployed, as far as that can be read here."""
    if shutil.which("pulumi") is None:
        return []
    try:
        found = deployed.topology(lambda arguments: pulumi(arguments, directory, timeout=deployed.TIMEOUT), site.mesh)
    except deployed.Unreadable as error:
        click.echo(
            f"only the stack files were looked at: outputs of stack {site.mesh} can't be read ({error})", err=True
        )
        return []
    return list(deployed.conflicts(found, mesh.sites if mesh else (), site, endpoint)) if found else []


def _add(mesh: MeshFile) -> None:
    try:
        yamlfile.write(mesh.path, mesh.text)
    except OSError as error:
        raise click.ClickException(f"{mesh.path}: {error.strerror}, so nothing was written") from None


def _judge(
    name: str, lans: Sequence[str], gateways: Sequence[str], management: Sequence[str], endpoint: str | None
) -> None:
    """Raises ValueError for what would be refused later anyway."""
    if problem := site_name_problem(name):
        raise ValueError(problem)
    parsed = [networks.parse(lan) for lan in lans]
    for text in management:
        if text not in ("0.0.0.0/0", "::/0"):
            networks.parse(text)
    for problem in _gateway_problems(gateways, parsed):
        raise ValueError(problem)
    claims = [networks.Claim(lan, "", "", "lan") for lan in parsed]
    claims += [networks.Claim(network, "", "", "transit network") for network in Transit.of().networks]
    for first, second in networks.overlaps(claims):
        raise ValueError(f"{first} overlaps {second}")
    if endpoint:
        split_endpoint(endpoint)


def _gateway_problems(gateways: Sequence[str], lans: Sequence[Network]) -> Iterator[str]:
    """As the site's own configuration will be judged."""
    for text in gateways:
        try:
            address = networks.parse_address(text)
        except ValueError as error:
            yield f"gateway address {error}"
            continue
        lan = next((lan for lan in lans if address in lan), None)
        if lan is None:
            yield f"gateway address {text} is in none of the lans"
        elif problem := networks.gateway_problem(address, lan):
            yield f"gateway address {text} {problem}"
    for lan in lans:
        if single := networks.single_problem(lan):
            yield single
        elif gateways and not any(ip_address(text) in lan for text in gateways):
            yield f"the gateway has no address in lan {lan}; add one by --gateway-address"
        elif not gateways and lan.num_addresses < 4:
            yield (
                f"lan {lan} has no place for a gateway beside a router; where one of its addresses is the gateway's,"
                " say which by --gateway-address"
            )


def _keep_private_half(private: str, site: NewSite, file: Path, key_file: Path | None, undo: ExitStack) -> None:
    """Raises ClickException where it can be kept nowhere; `undo` takes back what was made for it."""
    if key_file:
        _write_new(key_file, private + "\n", 0o600)
        undo.callback(key_file.unlink, missing_ok=True)
        setting = f"pulumi config set --secret --path {SECRET} --stack {site.stack} < {key_file}"
        click.echo(
            f"the private recipient key is in {key_file}; make it a secret of the stack, then delete it:", err=True
        )
        click.echo(f"  {setting}", err=True)
        return
    _require_pulumi()
    folder = file.parent
    if pulumi(["stack", "select", site.stack], folder).returncode != 0:
        _must(["stack", "init", site.stack], folder)
        undo.callback(pulumi, ["stack", "rm", "--yes", "--stack", site.stack], folder)
    _must(["config", "set", "--secret", "--path", SECRET, "--stack", site.stack], folder, private)
    click.echo(f"the private recipient key is a secret of stack {site.stack}", err=True)


def _require_pulumi() -> None:
    if shutil.which("pulumi") is None:
        raise click.ClickException(
            "no `pulumi` on PATH to keep the private recipient key; `. tools/activate` puts it there, or use --key-file"
        )


def _must(arguments: Sequence[str], folder: Path, given: str = "") -> None:
    """Raises ClickException with what the engine said."""
    done = pulumi(arguments, folder, given)
    if done.returncode != 0:
        raise click.ClickException(
            f"`pulumi {' '.join(arguments[:2])}` failed, so nothing was written:\n{done.stderr.strip()}\n"
            "log in to your backend and set its passphrase, or use --key-file"
        )


def _write_new(path: Path, text: str, mode: int) -> None:
    """Refuses to write over a file that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise click.ClickException(f"{path} is already there; it was left as it is") from None
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
