"""`wgnode mesh`: what concerns a mesh as a whole."""

from __future__ import annotations

import click

from pulumi_wgnode.cli.mesh_recover import recover


@click.group()
def command() -> None:
    """Recover a mesh whose state is lost."""


command.add_command(recover)
