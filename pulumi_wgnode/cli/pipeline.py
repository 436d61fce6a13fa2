"""`wgnode pipeline`: an environment's checks, plans, rollouts and nightly looks as jobs of a forge."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import click

from pulumi_wgnode.cli import options


@click.group()
def command() -> None:
    """Write a forge's pipeline for an environment, and tell there what its jobs find."""


@command.command(
    epilog="""\b
Examples:
  wgnode pipeline init github --environment prod
  wgnode pipeline init gitlab -e prod --image python:3.12@sha256:…
"""
)
@options.choose_environment(required=True)
@click.argument("forge", type=click.Choice(["github", "gitlab"]))
@click.option("--branch", default="main", show_default=True, help="What is merged there is rolled out.")
@click.option(
    "--runner", default="ubuntu-24.04", show_default=True, help="GitHub's runners; your own reach your hosts."
)
@click.option("--image", help="GitLab: the image of the jobs, with its digest.")
@click.option(
    "--oidc",
    type=click.Choice(["aws", "none"]),
    default="aws",
    show_default=True,
    help="How jobs log in to the backend: by an identity of the forge, for S3, or by secrets alone.",
)
@click.option("--force", is_flag=True, help="Replace files that are there and differ.")
def init(
    directory: Path,
    environment: str,
    forge: Literal["github", "gitlab"],
    branch: str,
    runner: str,
    image: str | None,
    oidc: Literal["aws", "none"],
    force: bool,
) -> None:
    """Write the files of FORGE's pipeline into the project.

    Four jobs: `check` on every change, without any secret; the plan as one comment on each change; after the merge a
    rollout of the plan that was approved, one at a time; each night one issue of what has drifted. Actions and images
    are pinned by digest, permissions are the least, each job has a limit of time.
    """
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations import stacks
    from pulumi_wgnode.operations.pipelines.settings import Settings, install_lines
    from pulumi_wgnode.operations.pipelines.written import written

    try:
        folder = stacks.project_folder(directory)
        settings = Settings(forge, environment, branch, runner, image, oidc, install_lines(folder))
        texts = {folder / path: text for path, text in written(settings).items()}
    except ExplainedError as error:
        raise click.UsageError(str(error)) from None
    others = [str(path) for path, text in texts.items() if path.exists() and path.read_text() != text]
    if others and not force:
        raise click.ClickException(f"{', '.join(others)}: there already, and differs; --force replaces it")
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        click.echo(path)


def _report(command: Any) -> Any:
    for option in (
        click.argument("report", type=click.Path(path_type=Path, dir_okay=False, exists=True)),
        click.option(
            "--errors", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="What it said else."
        ),
        click.option(
            "--code", type=int, default=0, show_default=True, help="What the command that made REPORT ended with."
        ),
        click.option("-e", "--environment", required=True, help="Of which REPORT is."),
    ):
        command = option(command)
    return command


@command.command(
    epilog="""\b
Example:
  wgnode rollout plan -e prod --markdown > plan.md 2> errors.txt
  wgnode pipeline comment plan.md -e prod --code $? --errors errors.txt
"""
)
@_report
def comment(environment: str, report: Path, code: int, errors: Path | None) -> None:
    """In a job: put a plan on the change that it runs for, as one comment that is updated in place."""
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations.pipelines import forges, telling

    said = errors.read_text(errors="replace") if errors else ""
    try:
        telling.comment(forges.of(os.environ), environment, report.read_text(errors="replace"), code, said)
    except ExplainedError as error:
        raise click.ClickException(str(error)) from None


@command.command(
    epilog="""\b
Example:
  wgnode drift -e prod --markdown > drift.md 2> errors.txt
  wgnode pipeline issue drift.md -e prod --code $? --errors errors.txt
"""
)
@_report
def issue(environment: str, report: Path, code: int, errors: Path | None) -> None:
    """In a job: open or update the environment's one issue of drift, or close it."""
    from pulumi_wgnode.errors import ExplainedError
    from pulumi_wgnode.operations.pipelines import forges, telling

    said = errors.read_text(errors="replace") if errors else ""
    try:
        click.echo(telling.issue(forges.of(os.environ), environment, report.read_text(errors="replace"), code, said))
    except ExplainedError as error:
        raise click.ClickException(str(error)) from None
