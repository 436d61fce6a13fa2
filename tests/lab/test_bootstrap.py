"""Commands of one's own run on the host before anything of ours, by pulumi-command with the host key pinned.

The plugin is the stand-in under tests/standins: the real one can't be downloaded everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.api import Lab
from lab.plan import RUNNER
from tests import standins

from .project import PIN, Project

pytestmark = [pytest.mark.lab, pytest.mark.in_turn("hosts")]
MARK = "/run/bootstrapped"
CABIN = ("--stack", "dev-cabin")
TARGETS = ("--target", "**remote:Command::site-bootstrap-*", "--target", "**index:Site::site")


@pytest.fixture
def project(lab: Lab, tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]]) -> Project:
    environment = pulumi_environment()
    standins.install_command(Path(environment["PULUMI_HOME"]))
    made = Project(tmp_path / "project", environment, lab.argv_in(RUNNER, []))
    made.mesh()
    made.done("up", "--yes", "--skip-preview", "--stack", "dev-mesh")
    return made


def test_each_command_runs_once_in_order_as_the_user(lab: Lab, project: Project) -> None:
    """Also those that a former version named by number, with others beside them, and reached by another name."""
    host = lab.inventory["hosts"]["cabin"]
    settings = {
        "bootstrap[0]": f"sudo -n sh -c 'echo one >> {MARK}'",
        "bootstrap[1]": f"sudo -n sh -c 'echo two >> {MARK}'",
    }
    key = Path(lab.inventory["ssh_key"]).read_text()
    project.site("cabin", {"host.address": host["address"], "host.hostKeys[0]": host["host_keys"][0]} | settings, key)
    try:
        project.done("up", "--yes", "--skip-preview", *CABIN, *TARGETS)
        project.done("up", "--yes", "--skip-preview", *CABIN, *TARGETS)
        assert lab.host_ssh("cabin", f"cat {MARK}").stdout == "one\ntwo\n"
        numbered(project)
        project.done("up", "--yes", "--skip-preview", *CABIN, *TARGETS)
        assert lab.host_ssh("cabin", f"cat {MARK}").stdout == "one\ntwo\n", "known by their former names"
        third = f"sudo -n sh -c 'echo three >> {MARK}'"
        inserted = [settings["bootstrap[0]"], third, settings["bootstrap[1]"], third]
        changed = {f"site.bootstrap[{place}]": command for place, command in enumerate(inserted)}
        project.configure("dev-cabin", changed | {"site.host.address": f"::ffff:{host['address']}"})
        project.done("up", "--yes", "--skip-preview", *CABIN, *TARGETS)
        assert lab.host_ssh("cabin", f"cat {MARK}").stdout == "one\ntwo\nthree\nthree\n"
    finally:
        lab.host_ssh("cabin", f"rm -f {MARK}")


def numbered(project: Project) -> None:
    """The stack's state as the version before left it: commands named by their place, without an `update`."""
    state = json.loads(project.done("stack", "export", "--show-secrets", *CABIN))
    commands = [one for one in state["deployment"]["resources"] if one["type"] == "command:remote:Command"]
    text = json.dumps(state)
    for number, command in enumerate(commands, 1):
        text = text.replace(command["urn"], f"{command['urn'].rpartition('::')[0]}::cabin-bootstrap-{number}")
    text = text.replace("::wgnode:index:Site::site", "::wgnode:index:Site::cabin")  # all of it called after the site
    state = json.loads(text)
    for one in state["deployment"]["resources"]:
        one.pop("aliases", None)
        for side in ("inputs", "outputs"):
            if one["type"] == "command:remote:Command":
                one[side].pop("update")
    project.done("stack", "import", *CABIN, given=json.dumps(state))


def test_a_host_with_another_key_than_the_pinned_one_gets_no_command(lab: Lab, project: Project) -> None:
    host = lab.inventory["hosts"]["cabin"]
    key = Path(lab.inventory["ssh_key"]).read_text()
    project.site(
        "cabin", {"host.address": host["address"], "host.hostKeys[0]": PIN, "bootstrap[0]": f"touch {MARK}"}, key
    )
    refused = project.pulumi("up", "--yes", "--skip-preview", *CABIN, *TARGETS)
    assert refused.returncode != 0
    assert "host key" in refused.stdout.lower()
    assert lab.host_ssh("cabin", f"ls {MARK}", check=False).returncode != 0
