"""Runs a workflow of GitHub's as its runner does, as far as ours use it, in a clone of a bare repository.

    python -m tests.standins.workflows CONTEXT.json < what a post-receive hook is told

Steps that fetch from the internet (`Install`, `Log in by OIDC`) are left out: what they install is linked into the
clone. Everything else runs as it is written, by bash with GitHub's options.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FETCHING = ("Install", "Log in by OIDC")
_EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")


class StepFailed(Exception):
    """With what it said."""


def workspace(context: Mapping[str, Any], commit: str) -> tuple[Path, Path]:
    """A job's own folder, and in it the clone at `commit`, with what the context links there."""
    temp = Path(tempfile.mkdtemp(dir=context["scratch"]))
    made = temp / "workspace"
    subprocess.run(["git", "clone", "-q", context["repository"], made], check=True)
    subprocess.run(["git", "-C", made, "checkout", "-q", commit], check=True)
    for name in context["links"]:
        (made / name).symlink_to(Path(context["project"]) / name)
    return temp, made


class Job:
    """`known` has expressions and their values; it grows by what steps put out."""

    def __init__(self, context: Mapping[str, Any], commit: str, known: dict[str, str]) -> None:
        self.context, self.known = context, known
        self.temp, self.workspace = workspace(context, commit)
        known["runner.temp"] = str(self.temp / "temp")
        (self.temp / "temp").mkdir()

    def run(self, job: Mapping[str, Any]) -> None:
        """Raises StepFailed after the steps that run always."""
        failed: StepFailed | None = None
        variables: dict[str, str] = {}
        for step in job["steps"]:
            if failed and step.get("if") != "always()":
                continue
            try:
                self._step(step, {**job.get("env", {}), **variables, **step.get("env", {})}, variables)
            except StepFailed as error:
                failed = failed or error
        for name, value in job.get("outputs", {}).items():
            self.known[f"needs.plan.outputs.{name}"] = self._filled(value)
        if failed:
            raise failed

    def _step(self, step: Mapping[str, Any], env: Mapping[str, Any], variables: dict[str, str]) -> None:
        artifacts = Path(self.context["artifacts"])
        if "upload-artifact" in step.get("uses", ""):
            there = artifacts / step["with"]["name"]
            shutil.copytree(self._filled(step["with"]["path"]), there, dirs_exist_ok=True)
        elif "download-artifact" in step.get("uses", ""):
            shutil.copytree(artifacts / step["with"]["name"], self._filled(step["with"]["path"]))
        elif "run" in step and step.get("name") not in FETCHING:
            self._shell(step, {name: self._filled(str(value)) for name, value in env.items()}, variables)

    def _shell(self, step: Mapping[str, Any], env: Mapping[str, str], variables: dict[str, str]) -> None:
        files = {name: self.temp / name for name in ("GITHUB_ENV", "GITHUB_OUTPUT")}
        summary = Path(self.context["artifacts"]) / "summary.md"
        own = {name: str(file) for name, file in files.items()} | {"GITHUB_STEP_SUMMARY": str(summary)}
        own |= {"RUNNER_TEMP": self.known["runner.temp"], "GITHUB_WORKSPACE": str(self.workspace)}
        own["PWD"] = str(self.workspace)
        argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(
            argv,
            cwd=self.workspace,
            env=self.context["variables"] | dict(env) | own,
            capture_output=True,
            text=True,
            check=False,
        )
        variables |= pairs(files["GITHUB_ENV"])
        for name, value in pairs(files["GITHUB_OUTPUT"]).items():
            self.known[f"steps.{step.get('id')}.outputs.{name}"] = value
        if done.returncode:
            raise StepFailed(f"{step.get('name')}: exit code {done.returncode}\n{done.stdout}{done.stderr}")

    def _filled(self, text: str) -> str:
        return _EXPRESSION.sub(lambda match: self.known[match[1]], text)


def pairs(file: Path) -> dict[str, str]:
    """Of lines NAME=value."""
    lines = file.read_text().splitlines() if file.exists() else []
    return dict(line.split("=", 1) for line in lines)  # type: ignore[misc]


def run(context: Mapping[str, Any], workflow: str, before: str, after: str) -> None:
    """All jobs of a workflow as it is at `after`. Raises StepFailed."""
    shown = ["git", "-C", context["repository"], "show", f"{after}:.github/workflows/{workflow}.yml"]
    read = yaml.safe_load(subprocess.run(shown, capture_output=True, text=True, check=True).stdout)
    known = {"github.event.before": before, "github.event.pull_request.base.sha": before, **context["known"]}
    for job in read["jobs"].values():
        Job(context, after, known).run(job)


def main() -> None:
    context = json.loads(Path(sys.argv[1]).read_text())
    os.environ.pop("GIT_DIR", None)  # the hook's
    before, after, ref = sys.stdin.read().split()
    merged = ref == "refs/heads/main"
    if not merged:  # a change against what is on main now
        before = subprocess.run(
            ["git", "-C", context["repository"], "rev-parse", "main"], capture_output=True, text=True, check=True
        ).stdout.strip()
    try:
        for workflow in ["wgnode-rollout-prod"] if merged else ["wgnode-check", "wgnode-plan-prod"]:
            run(context, workflow, before, after)
    except StepFailed as error:
        sys.exit(f"failed: {error}")
    print(f"succeeded: {ref}")


if __name__ == "__main__":
    main()
