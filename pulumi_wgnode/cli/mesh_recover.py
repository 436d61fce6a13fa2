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
The whole way, for lost state, a lost passphrase and a dead host: docs/how-to/recover.md
"""
)
@options.choose_stacks
@click.option("--lost", multiple=True, metavar="SITE", help="A site whose host is dead, or that left the mesh; repeat.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The recovery file.  [default: MESHSTACK.recovery.json here]",
)
def recover(
    directory: Path, environment: str | None, stacks: Sequence[str], lost: Sequence[str], output: Path | None
) -> None:
    """Read a mesh's keys and addresses back from its hosts, for `pulumi import`.

    For a mesh whose Pulumi state is lost while its gateways run on. Nothing is changed, neither on the hosts nor in
    any stack: it writes a recovery file, and prints the commands that import it. The file has the mesh's private keys
    in clear text, for you alone (mode 0600); delete it after the import.
    """
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import recovering
    from pulumi_wgnode.operations import stacks as stack_files

    try:
        folder = stack_files.project_folder(directory)
        names = options.chosen(folder, environment, stacks)
    except ExplainedError as error:
        raise click.UsageError(str(error)) from None
    try:
        found = recovering.recover(folder, names, lost)
        file = (output or Path(f"{found.mesh_stack}.recovery.json")).absolute()
        recovering.write(file, found.recovery)
    except ExplainedError as error:
        raise click.ClickException(str(error)) from None
    for warning in found.warnings:
        click.echo(f"note: {warning}", err=True)
    click.echo(recovering.summary(found, file))
