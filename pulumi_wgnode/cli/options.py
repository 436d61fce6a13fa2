"""The options that choose stacks, the same for every command, with completion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def complete_stacks(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import stacks

    try:
        found = stacks.site_stacks(stacks.project_folder(Path(ctx.params.get("directory") or ".")))
    except ExplainedError:
        return []
    if parameter.name == "environment":
        found = sorted({stack.partition("-")[0] for stack in found})
    return [name for name in found if name.startswith(incomplete)]


def site_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of sites, as the stack files have them."""
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import stacks

    try:
        folder = stacks.project_folder(Path(ctx.params.get("directory") or "."))
        names = {stacks.site_name(folder, stack) for stack in stacks.site_stacks(folder, ctx.params.get("environment"))}
    except ExplainedError:
        return []
    return sorted(name for name in names if name and name.startswith(incomplete))


choose_folder = click.option(
    "-C",
    "directory",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=".",
    help="The project's folder, or one in it.  [default: this one]",
)


def choose_environment(required: bool = False) -> Callable[[Command], Command]:
    """--environment and -C, of what is about whole environments."""
    help = "The stacks ENVIRONMENT-*." + ("" if required else "  [default: all in the project's folder]")
    option = click.option("-e", "--environment", shell_complete=complete_stacks, help=help, required=required)
    return lambda command: choose_folder(option(command))


def choose_stacks(command: Command) -> Command:
    """--environment, --stack and -C."""
    for option in (
        choose_folder,
        click.option(
            "-s",
            "--stack",
            "stacks",
            multiple=True,
            shell_complete=complete_stacks,
            help="The stack of a site; repeat.  [default: all in the project's folder]",
        ),
        click.option(
            "-e",
            "--environment",
            shell_complete=complete_stacks,
            help="All sites of an environment: stacks ENVIRONMENT-*.",
        ),
    ):
        command = option(command)
    return command


def chosen(folder: Path, environment: str | None, named: Sequence[str]) -> list[str]:
    """The stacks that the options mean. Raises UsageError for options that exclude each other, StackError for none."""
    from pulumi_wgnode.operations import stacks

    if named and environment:
        raise click.UsageError("--environment and --stack exclude each other: the first means all of its sites")
    return list(dict.fromkeys(named)) if named else stacks.site_stacks(folder, environment)
