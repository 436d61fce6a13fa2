"""Runs a job of `.gitlab/wgnode.yml` as GitLab's runner does, as far as ours use it, in a clone of a bare repository.

`before_script`, which fetches from the internet, is left out: what it installs is linked into the clone. The script
runs as it is written, by one bash with the runner's options, among the variables that GitLab sets.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.standins.workflows import StepFailed, pairs, workspace

FILE = ".gitlab/wgnode.yml"


class Runner:
    """`variables` are the project's and, by `dotenv` reports, what earlier jobs have put there."""

    def __init__(self, context: Mapping[str, Any], variables: Mapping[str, str]) -> None:
        self.context, self.variables = context, dict(variables)
        self.artifacts: dict[str, Path] = {}

    def run(self, name: str, commit: str, variables: Mapping[str, str]) -> str:
        """What it says. Raises StepFailed."""
        temp, folder = workspace(self.context, commit)
        job = yaml.safe_load((folder / FILE).read_text())[name]
        for needed in job.get("needs", ()):
            shutil.copytree(self.artifacts[needed], folder, dirs_exist_ok=True)
        ci = {"CI_PROJECT_DIR": str(folder), "CI_DEFAULT_BRANCH": "main", "PWD": str(folder)}
        done = subprocess.run(
            ["bash", "-c", "set -eo pipefail\nset +o noclobber\n" + "\n".join(job["script"])],
            cwd=folder,
            env={**self.context["variables"], **self.variables, **ci, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if "artifacts" in job and (done.returncode == 0 or job["artifacts"].get("when") == "always"):
            self._keep(name, job["artifacts"], folder, temp / "kept")
        if done.returncode:
            raise StepFailed(f"{name}: exit code {done.returncode}\n{done.stdout}")
        return done.stdout

    def _keep(self, name: str, artifacts: Mapping[str, Any], folder: Path, kept: Path) -> None:
        for path in artifacts["paths"]:
            shutil.copytree(folder / path, kept / path)
        self.artifacts[name] = kept
        if report := artifacts.get("reports", {}).get("dotenv"):
            self.variables |= pairs(folder / report)
