"""What a pipeline is written from: which forge, which environment, and how its jobs get what they need."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pulumi_wgnode.errors import ExplainedError

Name = Literal["github", "gitlab"]
PYTHON = "3.12"
_ENVIRONMENT = re.compile(r"[a-z][a-z0-9]*")
_PINNED = re.compile(r"[\w./:-]+@sha256:[0-9a-f]{64}")
_WORD = re.compile(r"[\w./-]+")


class SettingsError(ExplainedError):
    """Of these settings no pipeline can be written; the text says why."""


@dataclass(frozen=True)
class Settings:
    """`install` are lines of shell that make `.venv`; `secrets` are the names that jobs with an environment get."""

    forge: Name
    environment: str
    branch: str
    runner: str
    image: str | None
    oidc: Literal["aws", "none"]
    install: tuple[str, ...]
    secrets: tuple[str, ...] = ("PULUMI_CONFIG_PASSPHRASE",)

    def __post_init__(self) -> None:
        if not _ENVIRONMENT.fullmatch(self.environment):
            raise SettingsError(f"{self.environment!r} is no environment's name: lower case letters and digits")
        for what, given in (("branch", self.branch), ("runner", self.runner)):
            if not _WORD.fullmatch(given):
                raise SettingsError(f"{given!r} is no {what}'s name: letters, digits and . _ - /")
        if self.forge == "gitlab" and not (self.image and _PINNED.fullmatch(self.image)):
            raise SettingsError(
                "GitLab's jobs run in an image with Python and git, which has to be pinned: --image NAME@sha256:…"
                " (`docker buildx imagetools inspect python:3.12` shows the digest)"
            )


def install_lines(project: Path) -> tuple[str, ...]:
    """As the project's own files say: locked where there is a lock."""
    pip = ".venv/bin/python -m pip install --quiet --disable-pip-version-check"
    lines = ["python3 -m venv .venv"]
    if (project / "requirements.lock").is_file():
        lines.append(f"{pip} --no-deps --require-hashes -r requirements.lock")
        if (project / "pyproject.toml").is_file():
            lines.append(f"{pip} --no-deps --no-build-isolation -e .")
    elif (project / "requirements.txt").is_file():
        lines.append(f"{pip} -r requirements.txt")
    else:
        lines.append(f"{pip} wgnode=={version('wgnode')}")
    return tuple(lines)
