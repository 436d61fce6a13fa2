"""The commands over many stacks, on deployed sites: predictions are what real states have, drift is what is broken."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from lab.api import Lab
from lab.deployment import Deployment

pytestmark = pytest.mark.lab
AUTHOR = {f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture
def lab(deployed: Deployment) -> Lab:
    return deployed.lab


@pytest.fixture
def repository(deployed: Deployment) -> Iterator[Deployment]:
    """The project under git, with two commits. Its links lead out of it, and what is checked has to lie in it."""
    folder = deployed.folder

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, env=os.environ | AUTHOR)

    project = folder / "Pulumi.yaml"
    target = project.readlink()
    text = project.read_text()
    project.unlink()
    project.write_text(text)
    git("init", "-q", "-b", "main")
    (folder / ".git/info/exclude").write_text("*\n!stacks\n!stacks/Pulumi.*.yaml\n!Pulumi.yaml\n")
    git("add", "-A")
    git("commit", "-q", "-m", "one")
    git("commit", "-q", "--allow-empty", "-m", "two")
    yield deployed
    project.unlink()
    project.symlink_to(target)
    subprocess.run(["rm", "-rf", str(folder / ".git")], check=True)


def test_of_deployed_sites_nothing_is_to_be_done_and_what_was_broken_has_drifted(
    repository: Deployment, lab: Lab
) -> None:
    checked = repository.wgnode(["check", "-e", "dev", "--against", "HEAD^"])
    assert checked.returncode == 0, checked.stdout + checked.stderr
    planned = repository.wgnode(["rollout", "plan", "-e", "dev", "--json"])
    assert planned.returncode == 0, planned.stdout + planned.stderr
    plan = json.loads(planned.stdout)
    assert plan["groups"] == []
    assert (plan["waves"], plan["engine_plan"], plan["away"]) == ([[]], None, [])
    lab.host_ssh("berlin", "nft delete table inet wgnode")
    try:
        drifted = repository.wgnode(["drift", "-e", "dev", "--json"])
        assert drifted.returncode == 2, drifted.stdout + drifted.stderr
        found = json.loads(drifted.stdout)
        assert [group["sites"] for group in found["groups"]] == [["dev-berlin"]]
        assert found["clean"] == ["dev-cabin"]
    finally:
        lab.host_ssh("berlin", "systemctl restart wgnode-firewall")
