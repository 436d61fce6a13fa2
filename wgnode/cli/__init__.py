"""The `wgnode` command. Each subcommand lives in a file of its own, imported only when it is asked for.

Every listed module defines a click command or group named `command`.
"""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoints, entry_points

import click

COMMANDS = {
    "device": "Run a WireGuard node on a TUN interface of this machine.",
    "host": "Fetch hypervisor hosts' SSH keys, to pin them.",
    "image": "Build and inspect appliance images.",
    "key": "Make and convert keys.",
    "site": "Write the stack file of a new site.",
}


ELSEWHERE = "wgnode.commands"
"""The entry points of further commands. What works on stacks and hosts comes from the operator's side by them, so that
nothing here imports it (docs/decisions/operator-commands.md)."""


class LazyGroup(click.Group):
    """Imports a subcommand's module when it runs or shows its own help; those of elsewhere also to list them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*COMMANDS, *_elsewhere().names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            command = importlib.import_module(f"wgnode.cli.{cmd_name}").command
        elif cmd_name in (found := _elsewhere()).names:
            command = found[cmd_name].load()
        else:
            return None
        if not isinstance(command, click.Command):
            raise TypeError(f"subcommand {cmd_name} is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        known = {name: COMMANDS.get(name) or self._short_help(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl(list(known.items()))

    def _short_help(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=80) if command else ""


def _elsewhere() -> EntryPoints:
    return entry_points(group=ELSEWHERE)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wgnode", prog_name="wgnode")
def main() -> None:
    """WireGuard nodes in Python, and the mesh of gateways that Pulumi deploys with them."""
