"""`wgnode check`: an environment's stack files judged together, and what a change does, before anything runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from pulumi_wgnode.cli import options


@click.command(
    epilog="""\b
Exit codes: 0 no problems; 1 problems, which are listed; 2 wrong usage, or files that can't be read.
Examples:
  wgnode check
  wgnode check --environment prod --against origin/main
  wgnode check -e prod --against origin/main --markdown > comment.md      for a change's review, as one comment
  wgnode check -e prod --against HEAD~1 --json | jq -r '.meshes[].groups[] | "\\(.sites | length) \\(.changes[0])"'
"""
)
@options.choose_environment()
@click.option("--against", metavar="REV", help="Tell what changes since this git revision; nothing is checked out.")
@click.option("--markdown", "form", flag_value="markdown", help="As a comment, of at most 65,536 characters.")
@click.option("--json", "form", flag_value="json", help="For programs, with nothing left out.")
def command(directory: Path, environment: str | None, against: str | None, form: str | None) -> None:
    """Judge all stack files of an environment together, offline.

    Shapes, overlaps, sites that are missing on either side, and how they would be rolled out. With --against also what
    the change does to the mesh, to each site's node, routes and firewall, which gateways start anew for it, and what
    can't be undone. Equal changes are told once.

    Needs neither login nor passphrase, asks no host, and runs nothing of what it reads: for a change of somebody whom
    you don't know it is the whole preview. What stands only in the mesh's state (keys, addresses in the tunnel) it
    leaves out, and rules are those of a host on which nothing else is.
    """
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import stacks as stack_files
    from pulumi_wgnode.operations.checking import render
    from pulumi_wgnode.operations.checking.report import check

    try:
        report = check(stack_files.project_folder(directory), environment, against)
    except ExplainedError as error:
        raise click.UsageError(str(error)) from None
    if form == "json":
        click.echo(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        click.echo(render.markdown(report) if form == "markdown" else render.text(report), nl=False)
    sys.exit(1 if report.problems else 0)
