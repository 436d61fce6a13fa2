"""`wgnode rollout`: a change taken to all stacks of an environment."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pulumi_wgnode.cli import options

if TYPE_CHECKING:
    from wgnode.rollout.plan import Plan


@click.group()
def command() -> None:
    """Take a change to all sites of an environment: plan, run, resume, undo, status."""


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
            bound = revision.read(folder, base, [output, _engine_plan(output)] if output else [])
            planned = planning.make(folder, environment, bound, Path(scratch))
        if output:
            _write(output, planned.plan.to_json(), planned.engine_plan)
    except (ExplainedError, OSError) as error:
        raise click.ClickException(str(error)) from None
    if form == "json":
        click.echo(json.dumps(json.loads(planned.plan.to_json()), indent=2, ensure_ascii=False))
    else:
        click.echo(render.markdown(planned) if form == "markdown" else render.text(planned), nl=False)


def _engine_plan(plan: Path) -> Path:
    """The file beside a plan's."""
    return plan.with_name(f"{plan.name}.engine")


def _write(output: Path, plan: bytes, engine_plan: bytes | None) -> None:
    """Raises OSError. A former plan's engine plan would be taken for this one's."""
    output.write_bytes(plan)
    beside = _engine_plan(output)
    if engine_plan is None:
        beside.unlink(missing_ok=True)
    else:
        beside.write_bytes(engine_plan)


def _of_environment(command: options.Command) -> options.Command:
    """-C, and --environment of what is bound to one by its plan."""
    help = "Refuse a plan of another environment.  [default: take what the plan is of]"
    return options.choose_folder(
        click.option("-e", "--environment", shell_complete=options.complete_stacks, help=help)(command)
    )


def _read(file: Path, environment: str | None) -> Plan:
    """Raises PlanError, OSError, and UsageError for a plan of another environment than is meant."""
    from wgnode.rollout.plan import Plan

    plan = Plan.from_json(file.read_bytes())
    if environment is not None and environment != plan.environment:
        raise click.UsageError(f"{file} is a plan of environment {plan.environment!r}, not of {environment!r}")
    return plan


@command.command(
    epilog="""\b
Exit codes: 0 all of the plan's stacks are as it wants them; 1 not all, or not all could be read; 2 wrong usage, or no
plan of this version.
Examples:
  wgnode rollout status prod.plan
  wgnode rollout status prod.plan --json | jq -r '.next[]' | xargs -n 1 pulumi up --stack
"""
)
@_of_environment
@click.argument("plan", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(directory: Path, environment: str | None, plan: Path, as_json: bool) -> None:
    """Show how far the stacks of PLAN are, and whose turn it is.

    What is done is read from the stacks' states, whoever ran `pulumi up` and from whichever machine. A stack that is
    neither as it was nor as the plan wants it is named with its difference: then the plan is of no use any more. No
    host is asked: whether tunnels work is `wgnode status`.
    """
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import stacks as stack_files
    from pulumi_wgnode.operations.rolling import following
    from wgnode.rollout.plan import PlanError

    try:
        found = following.follow(stack_files.project_folder(directory), _read(plan, environment))
    except (ExplainedError, PlanError, OSError) as error:
        raise click.UsageError(str(error)) from None
    text = json.dumps(found.to_dict(), indent=2) + "\n" if as_json else following.text(found)
    click.echo(text, nl=False)
    sys.exit(found.exit_code)


CODES = """\b
Exit codes: 0 it ended where it was asked to go; 1 it went back by itself; 2 refused, nothing was done, or wrong usage;
3 paused: a person has to say resume or undo."""


def _runs(order: str, help: str, examples: str) -> None:
    """One of the commands that take a plan and do something with it."""

    @command.command(order, help=help, epilog=f"{CODES}\nExamples:\n{examples}")
    @_of_environment
    @click.argument("plan", type=click.Path(path_type=Path, dir_okay=False, exists=True))
    @click.option(
        "--lock-timeout",
        type=click.IntRange(0),
        default=600,
        show_default=True,
        metavar="SECONDS",
        help="For how long a stack that somebody else has locked is waited for.",
    )
    @click.option("--approved", metavar="DIGEST", help="The plan's digest that was approved; another plan is refused.")
    @click.option(
        "--report",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write the report there too, as JSON, and as Markdown beside it (FILE.md).",
    )
    @click.option("--markdown", "form", flag_value="markdown", help="The report as a comment.")
    @click.option("--json", "form", flag_value="json", help="The report for programs.")
    def run(
        directory: Path,
        environment: str | None,
        plan: Path,
        lock_timeout: int,
        approved: str | None,
        report: Path | None,
        form: str | None,
        again: bool = False,
    ) -> None:
        _run(directory, environment, plan, "again" if again else order, lock_timeout, approved, report, form)

    if order == "run":
        click.option("--again", is_flag=True, help="Also where this commit was undone before.")(run)


_runs(
    "run",
    """Take the change of PLAN to all of its stacks.

    The mesh first, then waves of sites, those of a wave side by side; behind each wave the gate (`wgnode health`). Each
    site's engine plan is made after the mesh's `up`, and compared with what the plan has predicted: any difference
    pauses. A failure in the canary's wave goes back by itself, a later one pauses; the mesh's file may say otherwise.

    Before a stack is changed, that is written down with the stack itself. So a run that was killed goes on from any
    machine that has the commit and the plan's files: `rollout resume`.
    """,
    "  wgnode rollout run prod.plan\n  wgnode rollout run -e prod prod.plan --report report.json\n",
)
_runs(
    "resume",
    """Go on with PLAN where it was paused or cut off, forward or back.

    What is done is read from the stacks and their hosts; no site is applied twice without need.
    """,
    "  wgnode rollout resume prod.plan\n",
)
_runs(
    "undo",
    """Go back to the commit that was deployed before PLAN, at all stacks that it has touched.

    The mesh, then the last wave first; at the end a preview of each against that commit has to be clean. A site that is
    away, or can't be undone, is owed that, and named. The same commit is not tried again by itself: `rollout run
    --again`.
    """,
    "  wgnode rollout undo prod.plan\n",
)


def _run(
    directory: Path,
    environment: str | None,
    file: Path,
    order: str,
    patience: int,
    approved: str | None,
    report: Path | None,
    form: str | None,
) -> None:
    from typing import cast

    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import stacks as stack_files
    from pulumi_wgnode.operations.rolling import outcome, rollout
    from pulumi_wgnode.operations.rolling.progress import Progress
    from wgnode.rollout.plan import PlanError
    from wgnode.rollout.steps import Order

    engine = _engine_plan(file)
    reports = [report, report.with_name(f"{report.name}.md")] if report else []
    try:
        plan = _read(file, environment)
        if approved and approved != plan.digest:
            raise click.UsageError(f"the plan's digest is {plan.digest}, not the approved {approved}")
        if report and not report.parent.is_dir():  # known before anything is changed
            raise click.UsageError(f"--report: there is no folder {report.parent}")
        progress = Progress(plan.course, sys.stderr, sys.stderr.isatty())
        engine_plan = engine.read_bytes() if engine.exists() else None
        folder = stack_files.project_folder(directory)
        done = rollout.go(folder, plan, cast(Order, order), engine_plan, patience, progress, [file, engine, *reports])
    except (ExplainedError, PlanError, OSError) as error:
        raise click.UsageError(str(error)) from None
    except KeyboardInterrupt:
        click.echo("cut off; `wgnode rollout resume` goes on from where the stacks are", err=True)
        sys.exit(outcome.PAUSED)
    told = json.dumps(done.to_dict(), indent=2, ensure_ascii=False) + "\n"
    try:
        for each, text in zip(reports, (told, outcome.markdown(done)), strict=False):
            each.write_text(text)
    except OSError as error:  # how it ended is told all the same
        click.echo(f"! the report is not written: {error}", err=True)
    click.echo(
        told if form == "json" else outcome.markdown(done) if form == "markdown" else outcome.text(done), nl=False
    )
    sys.exit(done.exit_code)
