"""The `wgnode` command. Each subcommand lives in a file of its own, imported only when it is asked for.

Every listed module defines a click command or group named `command`.
"""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "device": "Run a WireGuard node on a TUN interface of this machine.",
    "host": "Fetch hypervisor hosts' SSH keys, to pin them.",
    "image": "Build and inspect appliance images.",
    "key": "Make and convert keys.",
    "site": "Write the stack file of a new site.",
}


class LazyGroup(click.Group):
    """Imports a subcommand's module when it runs or shows its own help, never to list the commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"wgnode.cli.{cmd_name}")
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"wgnode.cli.{cmd_name}.command is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wgnode", prog_name="wgnode")
def main() -> None:
    """WireGuard nodes in Python, and the mesh of gateways that Pulumi deploys with them."""
