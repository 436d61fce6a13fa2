"""`wgnode drift`: how the hosts of an environment differ from what was deployed to them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from pulumi_wgnode.cli import options


class WrongUsage(click.UsageError):
    """Is "could not look": a pipeline must not take it for drift, as which click's own 2 would be read."""

    exit_code = 3


class Command(click.Command):
    """Ends with that code for every wrong option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise WrongUsage(error.format_message(), ctx) from None


@click.command(
    cls=Command,
    epilog="""\b
Exit codes: 0 clean; 2 drift, also where some hosts could not be asked; 3 nothing differs, but not all could be asked
(hosts that are away, stacks that can't be read), or wrong usage.
Examples:
  wgnode drift --environment prod
  wgnode drift -e prod --markdown > issue.md         for an issue, of at most 65,536 characters
  wgnode drift -e prod --json | jq -r '.groups[] | "\\(.sites | length) \\(.lines[0])"'
""",
)
@options.choose_stacks
@click.option("--markdown", "form", flag_value="markdown", help="For an issue, of at most 65,536 characters.")
@click.option("--json", "form", flag_value="json", help="For programs, with nothing left out.")
def command(directory: Path, environment: str | None, stacks: Sequence[str], form: str | None) -> None:
    """Show how hosts differ from what their stacks deployed.

    Every resource of every site's stack reads its host back and compares, as a preview does; equal differences are told
    once, with the sites that have them. Hosts that are away are listed apart. Nothing is changed. Whether tunnels work
    is another question: `wgnode status`.
    """
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import drift, sites
    from pulumi_wgnode.operations import stacks as stack_files

    try:
        folder = stack_files.project_folder(directory)
        names = options.chosen(folder, environment, stacks)
    except (ExplainedError, click.UsageError) as error:
        raise WrongUsage(str(error)) from None
    found = drift.look(environment, sites.know(folder, names, named=bool(stacks)))
    if form == "json":
        click.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
    else:
        click.echo(drift.markdown(found) if form == "markdown" else drift.text(found), nl=False)
    sys.exit(found.exit_code)
