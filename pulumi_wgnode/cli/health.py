"""`wgnode health`: whether sites are healthy with their last change, as a gate for any pipeline."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from pulumi_wgnode.cli import options


@click.command(
    epilog="""\b
Exit codes: 0 pass: every site is healthy; 1 fail: one is not; 3 none is known to fail, but not all could be
measured (hosts that are away, stacks that can't be read, older nodes); 2 wrong usage.
Examples:
  pulumi up -s prod-paris && wgnode health -s prod-paris --soak 60
  wgnode health -e prod --against prod.plan
  wgnode health -e prod --json | jq -c '.sites | to_entries[] | select(.value.verdict != "pass")'
"""
)
@options.choose_stacks
@click.option(
    "--against",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A rollout's plan: sites have to run its change, within its limits.  [default: each stack's last `up`]",
)
@click.option(
    "--soak",
    type=click.IntRange(0),
    metavar="SECONDS",
    help="For how long all has to stay well.  [default: the plan's, or 0]",
)
@click.option(
    "--loss", type=click.IntRange(0, 100), metavar="PERCENT", help="Of small probes.  [default: the plan's, or 1]"
)
@click.option(
    "--round-trip", type=click.IntRange(1), metavar="MS", help="There and back.  [default: the plan's, or 1000]"
)
@click.option(
    "--handshake",
    type=click.IntRange(1),
    metavar="SECONDS",
    help="After the change, within which a site has to be healthy.  [default: the plan's, or 180]",
)
@click.option("--markdown", "form", flag_value="markdown", help="As a comment, of at most 65,536 characters.")
@click.option("--json", "form", flag_value="json", help="For programs; round trips in seconds.")
def command(
    directory: Path,
    environment: str | None,
    stacks: Sequence[str],
    against: Path | None,
    soak: int | None,
    loss: int | None,
    round_trip: int | None,
    handshake: int | None,
    form: str | None,
) -> None:
    """Judge whether sites are healthy with their last change: pass, fail, or could not be measured.

    A site passes when its gateway runs this change (image, configuration and running state by their digests, of a guest
    that its host started when it says so), when every peer with which it should talk has made a handshake since, and
    when probes pass to each on the way that packets take: small ones, and of the largest size that the way carries. All
    that has to last for the soak. Each site's gateway is asked over SSH to call its peers and to probe; nothing else is
    changed.

    A peer that is away, does not run, or has not got the change yet excuses its pair, which is then told as a note.
    """
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import stacks as stack_files
    from pulumi_wgnode.operations.gating import judging
    from wgnode.rollout.plan import Plan, PlanError
    from wgnode.rollout.policy import Limits

    try:
        folder = stack_files.project_folder(directory)
        names = options.chosen(folder, environment, stacks)
        plan = Plan.from_json(against.read_bytes()) if against else None
    except (ExplainedError, PlanError, OSError) as error:
        raise click.UsageError(str(error)) from None
    given = {"loss": loss, "round_trip": round_trip, "handshake": handshake}
    limits = replace(
        plan.limits if plan else Limits(), **{name: value for name, value in given.items() if value is not None}
    )
    seconds = soak if soak is not None else plan.soak if plan else 0
    judged = judging.judge(
        folder, names, seconds, limits, plan, environment, lambda line: click.echo(line, err=True) if not form else None
    )
    if form == "json":
        click.echo(json.dumps(judging.to_dict(judged), indent=2, ensure_ascii=False))
    else:
        click.echo(judging.markdown(judged) if form == "markdown" else judging.text(judged), nl=False)
    sys.exit(judged.exit_code)
