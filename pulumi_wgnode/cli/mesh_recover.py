"""`wgnode mesh recover`: a mesh whose state is lost, out of what its hosts still have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from pulumi_wgnode.cli import options


@click.command(
    epilog="""\b
Exit codes: 0 written, 1 the hosts don't have one mesh or can't be asked (it is said), 2 wrong usage.
Examples:
  wgnode mesh recover --environment prod
  wgnode mesh recover --environment prod --lost rome     rome's host is dead: it gets a new key
  wgnode mesh recover --hosts sites.yaml --into prod     for a program of your own
The whole way, for lost state, a lost passphrase and a dead host: docs/how-to/recover.md
"""
)
@options.choose_stacks
@click.option("--lost", multiple=True, metavar="SITE", help="A site whose host is dead, or that left the mesh; repeat.")
@click.option(
    "--hosts",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A YAML file with `sites`, by name `host` (as of Site) and `recipientKey`, and `mesh`, the arguments of Mesh:"
    " for programs whose stack files are not of this repository's form.",
)
@click.option("--into", metavar="STACK", help="With --hosts: the stack that the mesh belongs into.")
@click.option("--name", default="mesh", show_default=True, help="With --hosts: what the program calls the mesh.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The recovery file.  [default: MESHSTACK.recovery.json here]",
)
def recover(
    directory: Path,
    environment: str | None,
    stacks: Sequence[str],
    lost: Sequence[str],
    hosts: Path | None,
    into: str | None,
    name: str,
    output: Path | None,
) -> None:
    """Read a mesh's keys and addresses back from its hosts, for `pulumi import`.

    For a mesh whose Pulumi state is lost while its gateways run on. Nothing is changed, neither on the hosts nor in
    any stack: it writes a recovery file, and prints the commands that import it. The file has the mesh's private keys
    in clear text, for you alone (mode 0600); delete it after the import.
    """
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import recovering
    from pulumi_wgnode.operations import stacks as stack_files

    if hosts is None and into is None:
        try:
            folder = stack_files.project_folder(directory)
            names = options.chosen(folder, environment, stacks)
        except ExplainedError as error:
            raise click.UsageError(str(error)) from None
    elif hosts is None or into is None or environment or stacks:
        raise click.UsageError("--hosts and --into belong together, and replace --environment and --stack")
    try:
        if hosts and into:
            found = recovering.recover_named(hosts, into, name, lost)
        else:
            found = recovering.recover(folder, names, lost)
        file = (output or Path(f"{found.mesh_stack.rsplit('/', 1)[-1]}.recovery.json")).absolute()
        recovering.write(file, found.recovery)
    except ExplainedError as error:
        raise click.ClickException(str(error)) from None
    for warning in found.warnings:
        click.echo(f"note: {warning}", err=True)
    click.echo(recovering.summary(found, file))
