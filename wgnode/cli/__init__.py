"""The `wgnode` command: all subcommands in one table, by what people do with them.

Each lives in a file of its own that defines a click command or group named `command`, and is found by its entry point
in pyproject.toml: those of the operator's side too, so that nothing here imports it
(docs/decisions/operator-commands.md). It is imported when it is asked for, those of others also to be listed.
"""

from __future__ import annotations

from importlib.metadata import EntryPoints, entry_points

import click
from click.shell_completion import CompletionItem

COMMANDS = {
    "Prepare a mesh": {
        "host": "Fetch hypervisor hosts' SSH keys, to pin them.",
        "site": "Write the stack file of a new site; show the public half of its key again.",
        "user": "Add people and their devices to a site, list, disable and remove them.",
        "key": "Make and convert keys.",
        "image": "Build and inspect appliance images.",
        "check": "Judge all stack files of an environment together, offline.",
    },
    "Look after one": {
        "status": "Show what each site's gateway runs, its peers, and what is wrong.",
        "who": "Show which device had ADDRESS: its user, its name and its public key.",
        "gateway": "Look into one gateway, or start it anew, over SSH to its host.",
        "rollout": "Take a change to all sites of an environment: plan, run, resume, undo, status.",
        "health": "Judge whether sites are healthy with their last change: pass, fail, or could not be measured.",
        "pipeline": "Write a forge's pipeline for an environment, and tell there what its jobs find.",
        "drift": "Show how hosts differ from what their stacks deployed.",
        "mtu": "Show the path MTU between SITE and PEER, or between all sites, each way for itself.",
        "mesh": "Recover a mesh whose state is lost.",
    },
    "Run a node": {
        "device": "Run a WireGuard node on the TUN interface NAME, made if it does not exist.",
    },
}
OTHERS = "Of other packages"
ENTRY_POINTS = "wgnode.commands"


class LazyGroup(click.Group):
    """Lists what COMMANDS has without importing it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_found().names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in (found := _found()).names:
            return None
        command = found[cmd_name].load()
        if not isinstance(command, click.Command):
            raise TypeError(f"subcommand {cmd_name} is no click command")
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Without importing every command, as people wait for it at a key."""
        about = {name: text for section in COMMANDS.values() for name, text in section.items()}
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        return [CompletionItem(name, help=about.get(name)) for name in names] + click.Command.shell_complete(
            self, ctx, incomplete
        )

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        names = self.list_commands(ctx)
        ours = {name for section in COMMANDS.values() for name in section}
        others = {name: self._short_help(ctx, name) for name in names if name not in ours}
        width = max(map(len, names), default=0)
        for title, section in {**COMMANDS, OTHERS: others}.items():
            if there := [(name.ljust(width), text) for name, text in section.items() if name in names]:
                with formatter.section(title):
                    formatter.write_dl(there)

    def _short_help(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=80) if command else ""


def _found() -> EntryPoints:
    return entry_points(group=ENTRY_POINTS)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wgnode", prog_name="wgnode")
def main() -> None:
    """WireGuard nodes in Python, and the mesh of gateways that Pulumi deploys with them."""
