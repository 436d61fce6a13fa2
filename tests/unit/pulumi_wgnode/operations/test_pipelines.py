"""`wgnode pipeline`: what is written for a forge, and what jobs tell there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from pulumi_wgnode.operations.sections import COMMENT
from tests.standins.forge import BOT, PERSON, Forge, forge
from tools import go_tools
from wgnode.cli import main

IMAGE = f"python:3.12@sha256:{'0123456789abcdef' * 4}"


def init(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["pipeline", "init", "-C", str(folder), "-e", "prod", *arguments])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: wgmesh\nruntime: python\n")
    (tmp_path / "requirements.txt").write_text("wgnode\n")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path


@pytest.fixture(params=["aws", "none"])
def github(project: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The workflows, by their file's name."""
    done = init(project, "github", "--oidc", request.param)
    assert done.exit_code == 0, done.output
    return {file.stem: yaml.safe_load(file.read_text()) for file in (project / ".github/workflows").iterdir()}


def jobs(workflows: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name, workflow in workflows.items():
        for job in workflow["jobs"].values():
            yield name, workflow, job


def test_every_action_is_pinned_and_every_job_has_its_limits(github: dict[str, Any], project: Path) -> None:
    texts = [file.read_text() for file in (project / ".github/workflows").iterdir()]
    used = [line for text in texts for line in re.findall(r"uses: (.*)", text)]
    assert used
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", one) for one in used)
    for name, workflow, job in jobs(github):
        assert 0 < job["timeout-minutes"] <= 360, name
        assert workflow["permissions"] == ({"contents": "read"} if name == "wgnode-check" else {})
        assert workflow["concurrency"]["group"]
        checkouts = [step for step in job["steps"] if "checkout" in step.get("uses", "")]
        assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_an_untrusted_change_is_checked_without_secrets_and_by_what_the_target_branch_has(
    github: dict[str, Any], project: Path
) -> None:
    text = (project / ".github/workflows/wgnode-check.yml").read_text()
    assert not re.search(r"secrets\.|id-token|environment:|github\.token|pull_request_target", text)
    steps = github["wgnode-check"]["jobs"]["check"]["steps"]
    assert steps[0]["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"
    assert {step["working-directory"] for step in steps if "pip install" in step.get("run", "")} == {"base"}


def test_what_a_change_says_stands_in_no_line_of_a_shell(github: dict[str, Any]) -> None:
    """An expression in `run` would be part of the script."""
    for name, _, job in jobs(github):
        assert not [step for step in job["steps"] if "${{" in step.get("run", "")], name


def test_secrets_and_identities_are_bound_to_environments_and_permissions_are_the_least(github: dict[str, Any]) -> None:
    wanted = {"wgnode-plan-prod": "pull-requests", "wgnode-drift-prod": "issues"}
    for name, _, job in jobs(github):
        if name == "wgnode-check":
            continue
        assert job["environment"] in ("prod-plan", "prod")
        extra = {wanted[name]: "write"} if name in wanted else {}
        assert {**job["permissions"], "id-token": "write"} == {"contents": "read", "id-token": "write", **extra}
        assert ("id-token" in job["permissions"]) == ("AWS_ROLE_ARN" in job["env"])


def test_one_rollout_at_a_time_of_the_plan_that_was_approved(github: dict[str, Any]) -> None:
    workflow = github["wgnode-rollout-prod"]
    assert workflow["concurrency"] == {"group": "wgnode-rollout-prod", "cancel-in-progress": False}
    plan, rollout = workflow["jobs"]["plan"], workflow["jobs"]["rollout"]
    assert (plan["environment"], rollout["environment"], rollout["needs"]) == ("prod-plan", "prod", "plan")
    script = next(step for step in rollout["steps"] if step.get("name") == "Roll out")
    assert script["env"] == {"APPROVED": "${{ needs.plan.outputs.digest }}"}
    assert script["run"].index("sha256sum") < script["run"].index("wgnode rollout run")


@pytest.mark.parametrize("swapped", [False, True])
def test_another_plan_than_the_approved_one_is_not_rolled_out(
    github: dict[str, Any], tmp_path: Path, swapped: bool
) -> None:
    """The two scripts as they are written, the second over the artifact as it has become."""
    plan, rollout = (github["wgnode-rollout-prod"]["jobs"][name]["steps"] for name in ("plan", "rollout"))
    scripts = [
        next(step["run"] for step in steps if step.get("name") == name)
        for steps, name in ((plan, "Plan"), (rollout, "Roll out"))
    ]
    program = tmp_path / "bin/wgnode"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\necho $2 >> {tmp_path}/called; [ $2 = run ] || echo a plan > {tmp_path}/plan/prod.plan\n"
    )
    program.chmod(0o755)
    files = {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    env = {"PATH": f"{program.parent}:/usr/bin:/bin", "RUNNER_TEMP": str(tmp_path), "GITHUB_WORKSPACE": "/", **files}
    subprocess.run(["bash", "-eo", "pipefail", "-c", scripts[0]], env={**env, "BASE": "x"}, check=True)
    approved = (tmp_path / "GITHUB_OUTPUT").read_text().strip().partition("=")[2]
    assert len(approved) == 64
    if swapped:
        (tmp_path / "plan/prod.plan.engine").write_text("another")
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", scripts[1]], env={**env, "APPROVED": approved}, check=False)
    assert (done.returncode, (tmp_path / "called").read_text().split()) == (
        (1, ["plan"]) if swapped else (0, ["plan", "run"])
    )


def test_the_linters_of_the_forges_find_nothing(github: dict[str, Any], project: Path) -> None:
    assert init(project, "gitlab", "--image", IMAGE).exit_code == 0
    workflows = sorted(map(str, (project / ".github/workflows").iterdir()))
    done = subprocess.run(
        [go_tools.ensure("actionlint"), *workflows], cwd=project, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    judge = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema"]
    for schema, files in (("github-workflows", workflows), ("gitlab-ci", [str(project / ".gitlab/wgnode.yml")])):
        done = subprocess.run([*judge, f"vendor.{schema}", *files], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_gitlab_has_the_same_jobs_with_the_same_limits(project: Path) -> None:
    assert init(project, "gitlab", "--image", IMAGE).exit_code == 0
    read = yaml.safe_load((project / ".gitlab/wgnode.yml").read_text())
    made = {name: job for name, job in read.items() if not name.startswith(".")}
    assert set(made) == {f"wgnode-{job}-prod" for job in ("check", "plan", "merged", "rollout", "drift")}
    assert all(job["timeout"] for job in made.values())
    check = made["wgnode-check-prod"]
    assert (check["extends"], "environment" in check, "id_tokens" in read[".wgnode"]) == (".wgnode", False, False)
    rollout = made["wgnode-rollout-prod"]
    assert (rollout["resource_group"], rollout["environment"]) == ("wgnode-prod", {"name": "prod"})
    assert read[".wgnode"]["image"] == IMAGE


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gitlab"], "--image"),
        (["gitlab", "--image", "python:3.12"], "pinned"),
        (["github", "--branch", "a b"], "branch"),
        (["github", "--runner", "x\n- y"], "runner"),
        (["github", "-e", "Prod!"], "environment"),
    ],
)
def test_of_what_no_pipeline_can_be_written_is_said(project: Path, arguments: list[str], said: str) -> None:
    done = init(project, *arguments)
    assert (done.exit_code, said in done.output) == (2, True)
    assert not (project / ".github").exists()


def test_files_that_somebody_has_changed_are_replaced_only_when_told(project: Path) -> None:
    assert (init(project, "github").exit_code, init(project, "github").exit_code) == (0, 0)
    file = project / ".github/workflows/wgnode-check.yml"
    file.write_text("mine")
    done = init(project, "github")
    assert (done.exit_code, "--force" in done.output, file.read_text()) == (1, True, "mine")
    assert init(project, "github", "--force").exit_code == 0
    assert file.read_text() != "mine"


def test_what_is_installed_is_what_the_project_has_locked(project: Path) -> None:
    (project / "requirements.lock").write_text("")
    init(project, "github")
    text = (project / ".github/workflows/wgnode-plan-prod.yml").read_text()
    assert "--require-hashes -r requirements.lock" in text


# What jobs tell


@pytest.fixture(params=["github", "gitlab"])
def there(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Forge]:
    """The forge, with a job of change 5 as the environment."""
    for name in ("GITHUB_REPOSITORY", "CI_API_V4_URL"):
        monkeypatch.delenv(name, raising=False)
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 5}}))
    with forge(request.param) as made:
        github = {"GITHUB_API_URL": made.url, "GITHUB_REPOSITORY": "o/r", "GITHUB_TOKEN": "t"}
        gitlab = {"CI_API_V4_URL": made.url, "CI_PROJECT_ID": "1", "CI_MERGE_REQUEST_IID": "5"}
        variables = {**github, "GITHUB_EVENT_PATH": str(event)} if request.param == "github" else gitlab
        for name, value in {**variables, "WGNODE_FORGE_TOKEN": "t"}.items():
            monkeypatch.setenv(name, value)
        yield made


def tell(tmp_path: Path, what: str, report: str, *arguments: str, errors: str = "") -> Result:
    (tmp_path / "report.md").write_text(report)
    (tmp_path / "errors.txt").write_text(errors)
    more = ["--errors", str(tmp_path / "errors.txt"), *arguments, str(tmp_path / "report.md")]
    return CliRunner().invoke(main, ["pipeline", what, "-e", "prod", *more])


def test_a_change_has_one_comment_that_is_updated_in_place(there: Forge, tmp_path: Path) -> None:
    for number in range(150):
        there.say(f"comment {number}", PERSON)
    for plan in ("### the first plan", "### the second plan"):
        assert tell(tmp_path, "comment", plan).exit_code == 0
    assert len(there.comments) == 151
    assert there.comments[-1]["body"] == "<!-- wgnode plan prod -->\n### the second plan"
    assert there.tokens == {"Bearer t" if there.kind == "github" else "t"}


def test_a_comment_of_somebody_else_is_never_taken_for_ours(there: Forge, tmp_path: Path) -> None:
    """They could change it after it was reviewed; and another environment's comment is another comment."""
    there.say("<!-- wgnode plan prod -->\nnothing to see", PERSON)
    there.say("<!-- wgnode plan dev -->\ndev", BOT)
    assert tell(tmp_path, "comment", "### a plan").exit_code == 0
    bodies = [one["body"] for one in there.comments]
    assert bodies[:2] == ["<!-- wgnode plan prod -->\nnothing to see", "<!-- wgnode plan dev -->\ndev"]
    assert len(bodies) == 3


def test_where_there_is_no_plan_the_comment_says_why(there: Forge, tmp_path: Path) -> None:
    assert tell(tmp_path, "comment", "", "--code", "1", errors="Error: no ``` plan").exit_code == 0
    assert "````\nError: no ``` plan\n````" in there.comments[0]["body"]


@pytest.mark.parametrize("length", [COMMENT - 40, COMMENT, 3 * COMMENT])
def test_a_comment_is_never_longer_than_a_forge_takes(there: Forge, tmp_path: Path, length: int) -> None:
    line = "+ peer paris 10.0.0.0/8\n"
    report = "### plan\n```diff\n" + line * (length // len(line)) + "```\n"
    assert tell(tmp_path, "comment", report).exit_code == 0
    body = there.comments[0]["body"]
    assert len(body) <= COMMENT
    assert body.count("```") % 2 == 0
    assert ("left out" in body) == (len(report) + 26 > COMMENT)


def test_drift_has_one_issue_which_is_closed_when_nothing_differs(there: Forge, tmp_path: Path) -> None:
    assert tell(tmp_path, "issue", "clean", "--code", "0").output == "nothing differs\n"
    assert there.issues == []
    said = [tell(tmp_path, "issue", report, "--code", "2").output for report in ("### one", "### two")]
    assert [text.partition(": ")[2].split()[0] for text in said] == ["opened", "updated"]
    (issue,) = there.issues
    text = issue["body" if there.kind == "github" else "description"]
    assert (issue["title"], text) == ("Drift in prod", "<!-- wgnode drift prod -->\n### two")
    away = tell(tmp_path, "issue", "### away", "--code", "3", errors="berlin is away")
    assert (away.exit_code, there.issues[0]["title"]) == (0, "Hosts of prod could not all be asked")
    assert tell(tmp_path, "issue", "clean", "--code", "0").output == "nothing differs: closed issue 1\n"
    assert there.issues[0]["state"] == "closed" or there.issues[0]["state_event"] == "close"
    assert tell(tmp_path, "issue", "### three", "--code", "2").exit_code == 0
    assert len(there.issues) == 2


def test_what_the_forge_refuses_is_said_with_the_way_out(there: Forge, tmp_path: Path) -> None:
    there.refuses = 403
    done = tell(tmp_path, "comment", "plan")
    assert done.exit_code == 1
    assert "403" in done.output
    assert "token" in done.output


def test_outside_of_a_job_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_REPOSITORY", "CI_API_V4_URL"):
        monkeypatch.delenv(name, raising=False)
    done = tell(tmp_path, "comment", "plan")
    assert (done.exit_code, "no job" in done.output) == (1, True)
