"""A rollout over each backend that operators share, with the real engine, program and plugin; hosts are files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.standins import backends
from tests.standins.clones import Clone, kill
from tests.standins.environment import MESH, Environment
from wgnode import yamlfile

pytestmark = [pytest.mark.sampled(0), pytest.mark.timeout(3600)]  # some twenty runs of the engine each

SITES = ("prod-site0", "prod-site1")
POLICY = {"canary": ["site0"], "waves": ["rest"], "soak": 0}


def deployed(folder: Path, backend: backends.Backend) -> Environment:
    folder.mkdir()
    made = Environment(folder, len(SITES), backend)
    made.project.rollout = POLICY
    made.project.write()
    made.init(MESH, *SITES)
    for stack in (MESH, *SITES):
        made.up(stack)
    made.project.commit()
    return made


def change(environment: Environment) -> None:
    """Of the mesh, hence of all sites; committed."""
    file = environment.folder / f"stacks/Pulumi.{MESH}.yaml"
    content = yamlfile.parse(file.read_text())
    content["config"]["wgmesh:mesh"]["mtu"] = 1400
    file.write_text(yamlfile.block(content))
    environment.project.commit()


@pytest.mark.parametrize("name", backends.NAMES)
def test_one_is_killed_another_goes_on_and_who_has_a_stack_is_left_alone(
    name: str, engine_bin: Path, tmp_path: Path
) -> None:
    with backends.started(name) as backend:
        environment = deployed(tmp_path / "project", backend)
        change(environment)
        plan = str(tmp_path / "x.plan")
        environment.wgnode("rollout", "plan", "--environment", "prod", "--output", plan)
        anna, ben = Clone(environment, tmp_path / "anna"), Clone(environment, tmp_path / "ben")

        command = environment.command("rollout", "run", plan)
        with anna.held(command, "write_file") as run:  # in the middle of the first change to a host
            second = ben.wgnode("rollout", "run", plan)
            assert second.returncode == 2
            said = " ".join(second.stderr.split())
            assert f"another rollout of prod runs: `rollout run` of commit {plan_commit(plan)}, by " in said
            assert f"(process {run.pid})" in said
            kill(run)

        up = ["pulumi", "up", "--yes", "--skip-preview", "--stack", "prod-site1", "--non-interactive"]
        with anna.held(up, "*") as by_hand:
            paused = ben.wgnode("rollout", "resume", plan, "--lock-timeout", "0", "--json")
            assert paused.returncode == 3, paused.stderr
            assert "prod-site0: releases the lock of a rollout's own run that is dead" in paused.stderr
            why = json.loads(paused.stdout)["why"]
            assert "stack 'prod-site1' is locked by " in why
            assert f"process {by_hand.pid}, since 20" in why
            assert by_hand.poll() is None

        said, _ = by_hand.communicate(timeout=300)
        assert by_hand.returncode == 0, said
        done = ben.wgnode("rollout", "resume", plan, "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["outcome"], told["owed"]) == ("done", {})
        for stack in (MESH, *SITES):
            clean = ben.pulumi("preview", "--expect-no-changes", "--diff", "--stack", stack)
            assert clean.returncode == 0, clean.stdout


def plan_commit(plan: str) -> str:
    return str(json.loads(Path(plan).read_text())["commit"])[:12]
