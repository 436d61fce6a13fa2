"""The files of a pipeline, out of the templates beside this and what a project has. Nothing is written here."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from importlib.resources import files

from pulumi_wgnode.operations.pipelines.settings import PYTHON, Settings

ACTIONS = {
    "CHECKOUT": "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2",
    "SETUP_PYTHON": "actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065 # v5.6.0",
    "UPLOAD": "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02 # v4.6.2",
    "DOWNLOAD": "actions/download-artifact@d3f86a106a0bac45b974a628896c90dbdf5c8093 # v4.3.0",
}
"""By commit, as a tag can be moved; what they were released as stands behind."""
GITHUB = (("check", "check"), ("plan", "plan-{}"), ("rollout", "rollout-{}"), ("drift", "drift-{}"))


def written(settings: Settings) -> dict[str, str]:
    """Text by path from the repository's root."""
    if settings.forge == "gitlab":
        return {".gitlab/wgnode.yml": _gitlab(settings)}
    return {
        f".github/workflows/wgnode-{name.format(settings.environment)}.yml": _github(template, settings)
        for template, name in GITHUB
    }


def _github(template: str, settings: Settings) -> str:
    aws = settings.oidc == "aws"
    variables = {name: f"${{{{ secrets.{name} }}}}" for name in settings.secrets}
    variables["PULUMI_BACKEND_URL"] = "${{ vars.PULUMI_BACKEND_URL }}"
    if aws:
        variables["AWS_ROLE_ARN"] = "${{ vars.WGNODE_AWS_ROLE_ARN }}"
        variables["AWS_REGION"] = "${{ vars.AWS_REGION }}"
    lines = {
        "SETUP": _template("github-setup"),
        "LOGIN": _template("github-login-aws") if aws else None,
        "ID_TOKEN": "      id-token: write\n" if aws else None,
        "SECRETS": "".join(f"      {name}: {value}\n" for name, value in variables.items()),
    }
    words = {**ACTIONS, "RUNNER": settings.runner}
    return _filled(_template(f"github-{template}"), settings, lines, words)


def _gitlab(settings: Settings) -> str:
    aws = settings.oidc == "aws"
    identity = "  id_tokens:\n    WGNODE_IDENTITY:\n      aud: sts.amazonaws.com\n"
    keep = (
        '      umask 077 && printf %s "$WGNODE_IDENTITY" > "$HOME/.wgnode-identity"\n'
        '      export AWS_WEB_IDENTITY_TOKEN_FILE="$HOME/.wgnode-identity" AWS_ROLE_ARN="$WGNODE_AWS_ROLE_ARN"\n'
    )
    lines = {"LOGIN": None, "IDENTITY": keep + identity if aws else None}
    return _filled(_template("gitlab"), settings, lines, {"IMAGE": str(settings.image)})


def _filled(text: str, settings: Settings, lines: Mapping[str, str | None], words: Mapping[str, str]) -> str:
    """`lines` take the place of whole lines, `words` of words, lines of a shell keep their indent."""
    for name, put in lines.items():
        text = re.sub(rf"^{name}\n", lambda _, put=put: put or "", text, flags=re.MULTILINE)  # type: ignore[misc]

    def install(match: re.Match[str]) -> str:
        return textwrap.indent("\n".join(settings.install), match[1])

    text = re.sub(r"^( +)INSTALL$", install, text, flags=re.MULTILINE)
    words = {"ENVIRONMENT": settings.environment, "BRANCH": settings.branch, "PYTHON": PYTHON, **words}
    for name, put in words.items():
        text = re.sub(rf"(?<![A-Z_$]){name}(?![A-Z_])", put.replace("\\", r"\\"), text)
    return text


def _template(name: str) -> str:
    return files("pulumi_wgnode.operations.pipelines").joinpath("templates", f"{name}.yml").read_text()
