"""`wgnode rollout`: a change taken to all stacks of an environment."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import click

from pulumi_wgnode.cli import options


@click.group()
def command() -> None:
    """Plan a change of a whole environment, and follow it."""


@command.command(
    epilog="""\b
Exit codes: 0 planned; 1 there is no plan, and why; 2 wrong usage.
Examples:
  wgnode rollout plan --environment prod
  wgnode rollout plan -e prod --base v41 --output prod.plan --markdown > comment.md
"""
)
@options.choose_environment(required=True)
@click.option("--base", default="HEAD^", show_default=True, metavar="REV", help="The commit that is deployed now.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The plan's file; the engine's own plan of the mesh goes beside it, as FILE.engine.  [default: none]",
)
@click.option("--markdown", "form", flag_value="markdown", help="As a comment, of at most 65,536 characters.")
@click.option("--json", "form", flag_value="json", help="The plan itself, for programs.")
def plan(directory: Path, environment: str, base: str, output: Path | None, form: str | None) -> None:
    """Say what a change does to every stack of an environment, and bind that to a plan.

    Reads each stack's state and what is checked out, makes the engine's own plan of the mesh's stack, and asks each
    host that changes whether it lets us in. What each site's node, routes, rules and settings will be is predicted, as
    digests; keys that the mesh's `up` makes are named unknown. The plan holds them with the commit and a fingerprint of
    each stack's state, and nothing secret. Nothing is changed.

    It needs what a preview needs: backend, passphrases, SSH. The folder must have no changes that no commit has.
    """
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import stacks as stack_files
    from pulumi_wgnode.operations.rolling import planning, render, revision

    try:
        folder = stack_files.project_folder(directory)
        with tempfile.TemporaryDirectory() as scratch:
            planned = planning.make(folder, environment, revision.read(folder, base), Path(scratch))
    except ExplainedError as error:
        raise click.ClickException(str(error)) from None
    if output:
        output.write_bytes(planned.plan.to_json())
        if planned.engine_plan is not None:
            output.with_name(f"{output.name}.engine").write_bytes(planned.engine_plan)
    if form == "json":
        click.echo(json.dumps(json.loads(planned.plan.to_json()), indent=2, ensure_ascii=False))
    else:
        click.echo(render.markdown(planned) if form == "markdown" else render.text(planned), nl=False)


@command.command(
    epilog="""\b
Exit codes: 0 all of the plan's stacks are as it wants them; 1 not all, or not all could be read; 2 wrong usage, or no
plan of this version.
Examples:
  wgnode rollout status prod.plan
  wgnode rollout status prod.plan --json | jq -r '.next[]' | xargs -n 1 pulumi up --stack
"""
)
@options.choose_folder
@click.argument("plan", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(directory: Path, plan: Path, as_json: bool) -> None:
    """Show how far the stacks of PLAN are, and whose turn it is.

    What is done is read from the stacks' states, whoever ran `pulumi up` and from whichever machine. A stack that is
    neither as it was nor as the plan wants it is named with its difference: then the plan is of no use any more. No
    host is asked: whether tunnels work is `wgnode status`.
    """
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import stacks as stack_files
    from pulumi_wgnode.operations.rolling import following
    from wgnode.rollout.plan import Plan, PlanError

    try:
        found = following.follow(stack_files.project_folder(directory), Plan.from_json(plan.read_bytes()))
    except (ExplainedError, PlanError, OSError) as error:
        raise click.UsageError(str(error)) from None
    text = json.dumps(found.to_dict(), indent=2) + "\n" if as_json else following.text(found)
    click.echo(text, nl=False)
    sys.exit(found.exit_code)
