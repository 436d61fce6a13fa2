"""`wgnode site new`: a new site's stack file, its recipient key pair, and the entry for the mesh's stack."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path

import click

from wgnode import recipient
from wgnode.cli.stackfile import NewSite, mesh_entry, render
from wgnode.topology import networks
from wgnode.topology.validate import site_name_problem, split_endpoint

SECRET = "wgmesh:site.recipientKey"  # noqa: S105 - the name of a setting


@click.group()
def command() -> None:
    """Write the stack file of a new site."""


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
    address: str,
    port: int,
    user: str,
    agent: bool,
    uplink: str,
    lan_interface: str,
    lans: Sequence[str],
    gateways: Sequence[str],
    management: Sequence[str],
    endpoint: str | None,
    directory: Path,
    add: bool,
    key_file: Path | None,
) -> None:
    """Write NAME's stack file and print the entry to add to the mesh's.

    The site gets a fresh recipient key pair. The private half goes into the stack's secrets by `pulumi config set
    --secret`, or into --key-file; the public half is in the printed entry.
    """
    try:
        _judge(name, lans, gateways, management, endpoint)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    site = NewSite(
        name=name,
        mesh=mesh or f"{environment}-mesh",
        stack=f"{environment}-{name}",
        address=address,
        port=port,
        user=user,
        agent=agent,
        uplink=uplink,
        lan_interface=lan_interface,
        lans=lans,
        gateway_addresses=gateways or [str(ip_network(lan)[2]) for lan in lans],
        management=management,
    )
    private, public = recipient.generate()
    file = directory / f"Pulumi.{site.stack}.yaml"
    _write_new(file, render(site), 0o644)
    try:
        _keep_private_half(private, site, file, key_file)
    except click.ClickException:
        file.unlink()
        raise
    click.echo(f"wrote {file}; look through it, then pin the host's keys:", err=True)
    click.echo(f"  wgnode host scan {address}{'' if port == 22 else f' --port {port}'} --write {file}", err=True)
    if add:
        _pulumi(_entry_settings(site, public, endpoint), file, "")
        click.echo(f"added {name} to {directory / f'Pulumi.{site.mesh}.yaml'}", err=True)
        return
    click.echo(f"add this under `sites:` in {directory / f'Pulumi.{site.mesh}.yaml'}:", err=True)
    click.echo(mesh_entry(site, public, endpoint), nl=False)


def _entry_settings(site: NewSite, public: str, endpoint: str | None) -> list[str]:
    """The entry as settings of the mesh's stack; the engine keeps the file's comments."""
    values = {f"lans[{number}]": lan for number, lan in enumerate(site.lans)} | {"recipient": public}
    if endpoint:
        values["endpoint"] = endpoint
    pairs = [f"wgmesh:mesh.sites.{site.name}.{path}={value}" for path, value in values.items()]
    plain = [word for pair in pairs for word in ("--plaintext", pair)]
    return ["config", "set-all", "--path", "--stack", site.mesh, *plain]


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
    for text in gateways:
        if not any(ip_address(text) in lan for lan in parsed):
            raise ValueError(f"gateway address {text} is in none of the lans")
    if endpoint:
        split_endpoint(endpoint)


def _keep_private_half(private: str, site: NewSite, file: Path, key_file: Path | None) -> None:
    """Raises ClickException where it can be kept nowhere."""
    if key_file:
        _write_new(key_file, private + "\n", 0o600)
        setting = f"pulumi config set --secret --path {SECRET} --stack {site.stack} < {key_file}"
        click.echo(
            f"the private recipient key is in {key_file}; make it a secret of the stack, then delete it:", err=True
        )
        click.echo(f"  {setting}", err=True)
        return
    if shutil.which("pulumi") is None:
        raise click.ClickException(
            "no `pulumi` on PATH to keep the private recipient key; `. tools/activate` puts it there, or use --key-file"
        )
    _pulumi(["stack", "select", "--create", site.stack], file, "")
    _pulumi(["config", "set", "--secret", "--path", SECRET, "--stack", site.stack], file, private)
    click.echo(f"the private recipient key is a secret of stack {site.stack}", err=True)


def _pulumi(arguments: Sequence[str], file: Path, given: str) -> None:
    """The key goes in by standard input, never on a command line."""
    argv = ["pulumi", *arguments, "--non-interactive", "--cwd", str(file.absolute().parent.parent)]
    done = subprocess.run(argv, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise click.ClickException(
            f"`{' '.join(argv[:3])}` failed, so nothing was written:\n{done.stderr.strip()}\n"
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
