"""The pipeline that `wgnode pipeline init` writes, run by a bare repository's hook: from change to rollout to drift.

The real engine, and hosts that are files (tests/standins).
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.many_sites import ENVIRONMENT
from tests.standins import gitlab, workflows
from tests.standins.environment import MESH, Environment
from tests.standins.forge import Forge, forge
from tests.standins.hosts.kept import SiteHost
from tools import ROOT
from wgnode import yamlfile

pytestmark = [pytest.mark.sampled(0), pytest.mark.timeout(3600)]  # some twenty runs of the engine each

SITES = ("prod-site0", "prod-site1")
IMAGE = f"python:3.12@sha256:{'0123456789abcdef' * 4}"
_HOOK = """#!/bin/sh
cd "{root}" && exec "{python}" -m tests.standins.workflows "{context}" >> "{log}" 2>&1
"""


class Repository:
    """A deployed environment whose project is cloned from a bare repository, which has the pipeline as its hook."""

    def __init__(self, folder: Path, there: Forge) -> None:
        (folder / "project").mkdir()
        self.environment = Environment(folder / "project", 2)
        self.bare, self.log, self.artifacts = folder / "bare.git", folder / "log", folder / "artifacts"
        self.forge = there
        self.artifacts.mkdir()
        self.environment.project.rollout = {"canary": ["site0"], "waves": ["rest"], "soak": 0}
        self.environment.project.write()
        self.environment.init(MESH, *SITES)
        self.environment.wgnode("pipeline", "init", "github", "-e", "prod", "--oidc", "none")
        for stack in (MESH, *SITES):
            self.environment.up(stack)
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.bare], check=True)
        self.environment.project.commit()
        self.git("remote", "add", "origin", str(self.bare))
        self.git("push", "-q", "origin", "main")
        self._hook(folder)

    def _hook(self, folder: Path) -> None:
        event = folder / "event.json"
        event.write_text(json.dumps({"pull_request": {"number": 1}}))
        job = {"GITHUB_API_URL": self.forge.url, "GITHUB_REPOSITORY": "o/r", "GITHUB_EVENT_PATH": str(event)}
        variables = self.environment.variables() | job | ENVIRONMENT | {"PYTHONPATH": str(ROOT)}
        own = folder / "bin"
        own.mkdir()
        command = own / "wgnode"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.standins.hosts command "$@"\n')
        command.chmod(0o755)
        backend = variables.pop("PULUMI_BACKEND_URL")
        passphrase = variables.pop("PULUMI_CONFIG_PASSPHRASE")
        known = {"vars.PULUMI_BACKEND_URL": backend, "secrets.PULUMI_CONFIG_PASSPHRASE": passphrase}
        self.context = {
            "variables": variables | {"PATH": f"{own}:{variables['PATH']}"},
            "known": known | {"github.token": "t"},
            "repository": str(self.bare),
            "project": str(self.environment.folder),
            "links": ["infra", "plugin", "pyproject.toml", "image.tar"],
            "artifacts": str(self.artifacts),
            "scratch": str(folder),
        }
        file = folder / "context.json"
        file.write_text(json.dumps(self.context))
        hook = self.bare / "hooks/post-receive"
        hook.write_text(_HOOK.format(root=ROOT, python=sys.executable, context=file, log=self.log))
        hook.chmod(0o755)

    def git(self, *arguments: str) -> str:
        return self.environment.project.git(*arguments)

    def allow(self, port: int) -> None:
        """At site1, committed."""
        file = self.environment.folder / "stacks/Pulumi.prod-site1.yaml"
        content = yamlfile.parse(file.read_text())
        content["config"]["wgmesh:site"]["firewall"] = {"allow": [{"protocol": "tcp", "port": port}]}
        file.write_text(yamlfile.block(content))
        self.environment.project.commit()

    def push(self, branch: str) -> None:
        self.git("push", "-q", "--force", "origin", f"HEAD:{branch}")

    def drift(self) -> None:
        """As the schedule starts it; what fails is raised but for the code that tells of drift."""
        head = self.git("rev-parse", "HEAD").strip()
        workflows.run(self.context, "wgnode-drift-prod", head, head)

    def host(self, site: str) -> SiteHost:
        address = self.environment.project.own[site]["host"]["address"]
        found: SiteHost = pickle.loads((self.environment.hosts / address).read_bytes())
        return found

    def put(self, site: str, host: SiteHost) -> None:
        address = self.environment.project.own[site]["host"]["address"]
        (self.environment.hosts / address).write_bytes(pickle.dumps(host))

    def ports(self, site: str) -> str:
        return json.dumps([rule.expressions for chain in self.host(site).table or () for rule in chain.rules])


@pytest.fixture(scope="module")
def repository(engine_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """Deployed once, for both forges' pipelines."""
    with forge("github") as there:
        yield Repository(tmp_path_factory.mktemp("pipelines"), there)


def test_from_a_change_to_its_rollout_to_drift(repository: Repository) -> None:
    there = repository.forge
    repository.git("checkout", "-q", "-b", "change")
    repository.allow(8443)
    repository.push("change")
    (comment,) = there.comments
    assert "<!-- wgnode plan prod -->" in comment["body"], repository.log.read_text()
    assert "8443" in comment["body"], repository.log.read_text()
    assert {file.name for file in (repository.artifacts / "prod-plan").iterdir()} >= {"prod.plan", "plan.md"}
    assert "8443" not in repository.ports("site1")  # nothing was changed yet
    repository.allow(9443)
    repository.push("change")
    (comment,) = there.comments
    assert "9443" in comment["body"], repository.log.read_text()

    repository.push("main")
    said = repository.log.read_text()
    assert "succeeded: refs/heads/main" in said, said
    assert "9443" in repository.ports("site1")
    assert "wgnode rollout plan" in (repository.artifacts / "summary.md").read_text()

    repository.drift()
    assert there.issues == []
    changed = repository.host("site1")
    changed.table = None
    repository.put("site1", changed)
    with pytest.raises(workflows.StepFailed, match="exit code 2"):
        repository.drift()
    (issue,) = there.issues
    assert (issue["title"], "prod-site1" in issue["body"]) == ("Drift in prod", True)
    repository.environment.up("prod-site1")
    repository.drift()
    assert [issue["state"] for issue in there.issues] == ["closed"]


def test_gitlabs_jobs_from_a_change_to_its_rollout_to_drift(repository: Repository) -> None:
    (repository.bare / "hooks/post-receive").unlink(missing_ok=True)  # it runs GitHub's
    repository.environment.wgnode("pipeline", "init", "gitlab", "-e", "prod", "--oidc", "none", "--image", IMAGE)
    repository.environment.project.commit()
    before = repository.git("rev-parse", "HEAD").strip()
    repository.allow(7443)
    repository.push("main")
    after = repository.git("rev-parse", "HEAD").strip()
    known = repository.context["known"]
    secrets = {name.partition(".")[2]: value for name, value in known.items() if name.startswith(("vars.", "secrets."))}
    merge_request = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": before, "CI_MERGE_REQUEST_IID": "1"}
    with forge("gitlab") as there:
        project = {"CI_API_V4_URL": there.url, "CI_PROJECT_ID": "5", "WGNODE_FORGE_TOKEN": "t"}
        runner = gitlab.Runner(_without_github(repository.context), {**secrets, **project})
        runner.run("wgnode-check-prod", after, merge_request)
        runner.run("wgnode-plan-prod", after, merge_request)
        (comment,) = there.comments
        assert "7443" in comment["body"]

        runner.run("wgnode-merged-prod", after, {"CI_COMMIT_BEFORE_SHA": before})
        approved = runner.variables["WGNODE_APPROVED"]
        runner.variables["WGNODE_APPROVED"] = "0" * 64
        with pytest.raises(workflows.StepFailed, match="not the plan that was approved"):
            runner.run("wgnode-rollout-prod", after, {})
        assert "7443" not in repository.ports("site1")
        runner.variables["WGNODE_APPROVED"] = approved
        runner.run("wgnode-rollout-prod", after, {})
        assert "7443" in repository.ports("site1")

        changed = repository.host("site1")
        changed.table = None
        repository.put("site1", changed)
        with pytest.raises(workflows.StepFailed, match="exit code 2"):
            runner.run("wgnode-drift-prod", after, {})
        (issue,) = there.issues
        assert "prod-site1" in issue["description"]


def _without_github(context: dict[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in context["variables"].items() if not name.startswith("GITHUB_")}
    return {**context, "variables": own}
