"""`wgnode rollout run`, `resume`, `undo` over a fake engine and fake hosts; each run is a process of its own."""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result as Done

from pulumi_wgnode.operations.gating import expected
from pulumi_wgnode.operations.rolling import process
from pulumi_wgnode.operations.rolling.running import POINTS
from tests.unit.pulumi_wgnode.operations.rollout_world import SITES, STACKS, World, faked
from wgnode.rollout.claim import Claim
from wgnode.rollout.history import History


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Once for all tests: each has a copy."""
    root = tmp_path_factory.mktemp("rollouts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{root / 'bin'}:/usr/bin:/bin")
        faked(root, patch.setattr)
        return World(root)


@pytest.fixture
def world(made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    mine = copy.copy(made)
    mine.root = tmp_path / "project"
    shutil.copytree(made.root, mine.root)
    mine.bin, mine.file = mine.root / "bin", mine.root / "x.plan"
    monkeypatch.setenv("PATH", f"{mine.bin}:/usr/bin:/bin")
    faked(mine.root, monkeypatch.setattr)
    return mine


def report(done: Done, code: int) -> dict[str, Any]:
    assert done.exit_code == code, done.output + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_the_mesh_comes_first_then_the_canary_then_waves_and_nobody_twice(world: World) -> None:
    told = report(world.run("run", "--report", str(world.root / "bin/r.json")), 0)
    assert (told["outcome"], told["owed"]) == ("done", {})
    assert world.at("new")
    assert world.applied[:3] == ["new prod-mesh", "new prod-site0", "new prod-site1"]
    assert sorted(world.applied[3:]) == ["new prod-site2", "new prod-site3"]
    assert json.loads((world.root / "bin/r.json").read_text()) == told
    assert "wgnode rollout" in (world.root / "bin/r.json.md").read_text()
    again = report(world.run("resume"), 0)
    assert (again["outcome"], len(world.applied)) == ("done", 5)


def test_a_state_is_read_where_it_may_have_changed_and_not_again_for_each_who_asks(world: World) -> None:
    """At the beginning, after the engine's plan, and after the `up`: a megabyte each, of a site among a thousand."""
    report(world.run(), 0)
    assert world.reads == {"prod-mesh": 2, **dict.fromkeys(SITES, 3)}


def test_an_ill_canary_goes_back_by_itself_to_the_commit_before_mesh_and_all(world: World) -> None:
    world.mark("prod-site0", "ill")
    told = report(world.run(), 1)
    assert told["outcome"] == "undone"
    assert world.at("old")
    assert world.applied == ["new prod-mesh", "new prod-site0", "old prod-mesh", "old prod-site0"]
    assert told["gates"] == {"prod-site0": "with cabin: no handshake yet"}
    world.unmark("prod-site0", "ill")
    refused = report(world.run(), 3)
    assert "was undone here before, and is not tried again by itself" in refused["why"]
    assert len(world.applied) == 4
    report(world.run("run", "--again"), 0)
    assert world.at("new")


def test_a_later_failure_pauses_and_a_person_says_resume_or_undo(world: World) -> None:
    world.mark("prod-site2", "fails")
    told = report(world.run(), 3)
    assert "could not be applied: prod-site2 (stack 'prod-site2': the host said no)" in told["why"]
    assert world.at("new", ("prod-mesh", "prod-site0", "prod-site1", "prod-site3"))
    stuck = report(world.run("undo"), 0)
    assert (stuck["outcome"], list(stuck["owed"])) == ("undone", ["prod-site2"])
    assert "could not be undone: stack 'prod-site2': the host said no" in stuck["owed"]["prod-site2"]
    assert world.at("old", ("prod-mesh", "prod-site0", "prod-site1", "prod-site3"))
    world.unmark("prod-site2", "fails")
    undone = report(world.run("undo"), 0)
    assert (undone["outcome"], undone["owed"], world.at("old")) == ("undone", {}, True)
    report(world.run("run", "--again"), 0)


def test_what_failed_in_the_middle_is_not_done_whatever_its_inputs_say_and_resume_applies_it_again(
    world: World,
) -> None:
    world.mark("prod-site2", "fails")
    assert report(world.run(), 3)["stacks"]["prod-site2"] == "between"
    world.unmark("prod-site2", "fails")
    report(world.run("resume"), 0)
    assert world.at("new")
    assert world.applied.count("new prod-site2") == 1


def test_what_could_not_be_measured_pauses_and_neither_passes_nor_goes_back(world: World) -> None:
    world.mark("prod-site0", "unmeasured")
    told = report(world.run(), 3)
    assert "could not be measured" in told["why"]
    assert "prod-site0: its hostd does not answer" in told["why"]
    assert world.applied == ["new prod-mesh", "new prod-site0"]
    world.unmark("prod-site0", "unmeasured")
    report(world.run("resume"), 0)
    assert world.at("new")
    assert len(world.applied) == 5


def test_a_site_that_is_away_is_owed_and_joins_when_it_is_back(world: World) -> None:
    world.mark("prod-site3", "away")
    told = report(world.run(), 0)
    assert told["owed"] == {"prod-site3": "away"}
    assert world.at("new", STACKS[:-1])
    world.unmark("prod-site3", "away")
    told = report(world.run("resume"), 0)
    assert (told["owed"], world.at("new"), len(world.applied)) == ({}, True, 5)


def test_more_that_are_away_than_may_be_pause(world: World) -> None:
    for name in ("prod-site2", "prod-site3"):
        world.mark(name, "away")
    told = report(world.run(), 3)
    assert "maxUnavailable allows 1 at once" in told["why"]
    assert set(told["owed"]) == {"prod-site2", "prod-site3"}


def test_an_engine_plan_that_is_another_pauses_before_the_site_is_changed(world: World) -> None:
    step = {
        "op": "update",
        "urn": "urn:pulumi:s::wgmesh::wgnode:index:HypervisorHost::0",
        "newState": {"type": "wgnode:index:HypervisorHost"},
    }
    deployment = json.loads((world.bin / "prod-site0.export.new").read_text())["deployment"]
    inputs = deployment["resources"][0]["inputs"]
    step["newState"]["inputs"] = inputs | {"networks": inputs["networks"] | {"uplink": "wan9"}}  # type: ignore[index]
    (world.bin / "prod-site0.preview.new").write_text(json.dumps({"steps": [step]}))
    told = report(world.run(), 3)
    assert "the engine would do something else than was planned: prod-site0 (other" in told["why"]
    assert "settings" in told["why"]
    assert world.applied == ["new prod-mesh"]


@pytest.mark.parametrize(("op", "pauses"), [("replace", True), ("delete", True), ("update", False)])
def test_an_engine_plan_that_ends_a_gateway_pauses_however_equal_its_inputs_are(
    world: World, op: str, pauses: bool
) -> None:
    file = world.bin / "prod-site0.preview.new"
    steps = json.loads(file.read_text())["steps"]
    gateway = next(step for step in steps if step["newState"]["type"] == "wgnode:index:Gateway")
    gateway |= {"op": op, "oldState": gateway["newState"]}
    file.write_text(json.dumps({"steps": [*steps, {**gateway, "op": "create-replacement"}]}))
    told = report(world.run(), 3 if pauses else 0)
    if pauses:
        assert f"it would {op} wgnode:index:Gateway" in told["why"]
        assert world.applied == ["new prod-mesh"]


@pytest.mark.parametrize("when", ["before", "after the canary"])
def test_a_state_that_somebody_has_moved_is_named_with_its_stack_and_what_differs(world: World, when: str) -> None:
    if when != "before":
        world.mark("prod-site0", "unmeasured")
        report(world.run(), 3)
        world.unmark("prod-site0", "unmeasured")
    file = world.bin / "prod-site1.export"
    file.write_text(file.read_text().replace('"live": "x"', '"live": "y"'))
    done = world.run("run" if when == "before" else "resume")
    assert done.exit_code == (2 if when == "before" else 3)
    assert "stack prod-site1: wgnode:index:Gateway 2: other outputs" in " ".join((done.stdout + done.stderr).split())
    assert len(world.applied) == (0 if when == "before" else 2)


def test_what_a_person_has_done_by_hand_as_planned_is_not_done_again(world: World) -> None:
    for stack in ("prod-mesh", "prod-site1"):
        (world.bin / f"{stack}.export").write_text((world.bin / f"{stack}.export.new").read_text())
    report(world.run(), 0)
    assert sorted(world.applied) == ["new prod-site0", "new prod-site2", "new prod-site3"]


def test_health_against_a_plan_wants_the_plans_change_and_not_just_any_healthy_site(world: World) -> None:
    states = {which: world.bin / f"prod-site0.export.{which}" for which in ("old", "new")}
    old, new = (json.loads(states[which].read_text())["deployment"] for which in ("old", "new"))
    assert expected.of_plan(world.plan_made, "prod-site0", new) is None
    why = expected.of_plan(world.plan_made, "prod-site0", old)
    assert why == f"it is not at the plan's commit {world.plan_made.commit[:12]}: other ruleset"
    assert expected.of_plan(world.plan_made, "prod-oslo", new) == "the plan of prod knows no stack prod-oslo"


def dirty(world: World) -> None:
    (world.root / "stacks/commit").write_text("other")


def another_commit(world: World) -> None:
    world.commit()


def no_engine_plan(world: World) -> None:
    world.file.with_name("x.plan.engine").unlink()


def other_engine_plan(world: World) -> None:
    world.file.with_name("x.plan.engine").write_text("other")


def edited(world: World) -> None:
    world.file.write_text(world.file.read_text().replace('"parallel":2', '"parallel": 2'))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dirty, "there are changes that no commit has"),
        (another_commit, "is checked out: check that out or plan anew"),
        (no_engine_plan, "FILE.engine lies beside the plan"),
        (other_engine_plan, "the engine's plan beside it (FILE.engine) is another one"),
        (edited, "somebody has changed it"),
    ],
)
def test_a_plan_of_another_world_is_refused_and_nothing_is_done(world: World, change: Any, words: str) -> None:
    change(world)
    done = world.run()
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())
    assert world.applied == []
    assert world.run("undo").exit_code in (0, 2)


def test_another_plan_than_the_approved_one_is_refused(world: World) -> None:
    approved = world.plan_made.digest
    world.file.write_text(world.file.read_text().replace('"parallel":2', '"parallel":9'))
    done = world.run("run", "--approved", approved)
    assert done.exit_code == 2
    assert f"not the approved {approved}" in " ".join(done.stderr.split())
    assert world.applied == []


@pytest.mark.parametrize("order", ["run", "resume", "undo"])
def test_a_plan_of_another_environment_than_is_meant_is_refused(world: World, order: str) -> None:
    of = world.plan_made.environment
    done = world.run(order, "-e", "other")
    assert done.exit_code == 2
    assert f"is a plan of environment {of!r}, not of 'other'" in " ".join(done.stderr.split())
    assert world.applied == []
    assert world.run("run", "--environment", of).exit_code == 0


def test_a_commit_before_that_makes_something_else_by_now_is_told_before_anything_is_changed(world: World) -> None:
    """An image that was rebuilt under the same path: of both commits it is the new one."""
    (world.root / "build/image/appliance.tar").write_bytes(b"another image")
    told = report(world.run("run"), 0)
    lines = [one["line"] for one in told["events"]]
    assert lines[0] == "no whole way back: prod-site0: settings would not be what is deployed now"
    assert len([line for line in lines if "way back" in line]) == len(SITES)


def test_an_undo_does_not_care_what_is_checked_out(world: World) -> None:
    report(world.run(), 0)
    world.commit()
    report(world.run("undo"), 0)
    assert world.at("old")


def enumerated() -> list[str]:
    return [f"{point}:{number}" for point in POINTS for number in range(9)]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kill", enumerated())
def test_a_run_that_is_killed_at_any_step_is_resumed_and_nobody_is_applied_twice(world: World, kill: str) -> None:
    assert world.killed(kill=kill) in (-signal.SIGKILL, 0)
    told = report(world.run("resume"), 0)
    assert told["outcome"] == "done"
    assert world.at("new")
    assert sorted(world.applied) == sorted(f"new {stack}" for stack in STACKS)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("moved", [False, True], ids=["before it began", "in the middle"])
@pytest.mark.parametrize("stack", STACKS)
def test_a_run_that_is_killed_with_its_engine_goes_on_past_its_own_dead_lock(
    world: World, stack: str, moved: bool
) -> None:
    world.mark(stack, "kills")
    if not moved:
        (world.bin / f"{stack}.killed").write_text("yes")
    assert world.killed() == -signal.SIGKILL
    assert (world.bin / f"{stack}.lock").exists()
    assert world.state_of(stack) == ("half" if moved else "old")
    done = world.run("resume")
    assert report(done, 0)["outcome"] == "done"
    assert "releases the lock of a rollout's own run that is dead" in done.stderr
    assert world.at("new")


def test_a_run_killed_on_its_way_back_goes_on_back(world: World) -> None:
    world.mark("prod-site2", "fails")
    report(world.run(), 3)
    world.unmark("prod-site2", "fails")
    world.mark("prod-site1", "kills")
    assert world.killed("undo") == -signal.SIGKILL
    assert report(world.run("resume"), 1)["outcome"] == "undone"
    assert world.at("old")


def test_somebody_elses_lock_is_waited_for_named_and_never_cancelled(world: World) -> None:
    (world.bin / "prod-site0.lock").write_text(f"root@{process.host()} (pid {os.getpid()})")
    told = report(world.run(), 3)
    assert f"is locked by root@{process.host()}, process {os.getpid()}, since 2026-11-30T08:00:00Z" in told["why"]
    assert world.applied == ["new prod-mesh"]
    assert (world.bin / "prod-site0.lock").exists()
    assert "cancel" not in (world.bin / "calls").read_text()
    (world.bin / "prod-site0.lock").unlink()
    report(world.run("resume"), 0)


def test_a_dead_process_that_no_rollout_announced_keeps_its_lock(world: World) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    (world.bin / "prod-site0.lock").write_text(f"root@{process.host()} (pid {gone.pid})")
    report(world.run(), 3)
    assert (world.bin / "prod-site0.lock").exists()


def test_of_two_rollouts_the_second_says_which_one_runs(world: World) -> None:
    claim = Claim("abc", "c0ffee", "run", "anna@desk", "2026-11-30 08:00", str(process.here()))
    file = world.bin / "prod-mesh.tags/wgnode%rollout-run"
    file.parent.mkdir()
    file.write_text(claim.to_text())
    done = world.run()
    assert done.exit_code == 2
    said = " ".join(done.stderr.split())
    assert f"another rollout of prod runs: `rollout run` of commit c0ffee, by anna@desk (process {os.getpid()})" in said
    assert world.applied == []
    assert Claim.parse(file.read_text()) == claim


def test_the_claim_of_a_dead_run_is_taken_over_and_ours_is_given_back(world: World) -> None:
    gone = subprocess.Popen(["true"])
    dead = str(process.here(gone.pid))
    gone.wait()
    file = world.bin / "prod-mesh.tags/wgnode%rollout-run"
    file.parent.mkdir()
    file.write_text(Claim("abc", "c0ffee", "run", "anna@desk", "2026-11-30", dead).to_text())
    done = world.run()
    report(done, 0)
    assert "the run before is dead: `rollout run` of commit c0ffee, by anna@desk" in done.stderr
    assert not file.exists()


def test_what_is_going_to_happen_is_written_before_it_does(world: World) -> None:
    world.mark("prod-mesh", "kills")
    (world.bin / "prod-mesh.killed").write_text("yes")
    world.killed()
    history = History.parse((world.bin / "prod-mesh.tags/wgnode%rollout").read_text())
    assert [(one.commit, one.undo) for one in history.lines] == [(world.plan_made.commit, False)]
    assert f"(pid {history.by[-1].pid})" in (world.bin / "prod-mesh.lock").read_text()
    assert not [stack for stack in SITES if (world.bin / f"{stack}.tags/wgnode%rollout").exists()]


def test_the_plan_and_the_report_may_lie_in_the_project_and_nothing_else_that_no_commit_has(world: World) -> None:
    """As the manual's commands have it; git ignores none of these files."""
    told = report(world.run("run", "--report", str(world.root / "out.json")), 0)
    assert json.loads((world.root / "out.json").read_text()) == told
    report(world.run("resume", "--report", str(world.root / "out.json")), 0)
    (world.root / "other").mkdir()
    (world.root / "other/new.txt").write_text("")
    refused = world.run("resume")
    assert refused.exit_code == 2
    assert "there are changes that no commit has (other/new.txt, out.json, out.json.md)" in refused.stderr


def test_a_report_that_can_not_be_written_is_told_and_where_it_can_before_anything_is_changed(world: World) -> None:
    done = world.run("run", "--report", str(world.root / "nowhere/out.json"))
    assert done.exit_code == 2
    assert "there is no folder" in done.stderr
    assert world.applied == []
    (world.root / "bin/out.json.md").mkdir()
    done = world.run("run", "--report", str(world.root / "bin/out.json"))
    assert (report(done, 0)["outcome"], "! the report is not written" in done.stderr) == ("done", True)


def test_a_refused_run_leaves_no_report(world: World) -> None:
    assert world.run("run", "--approved", "x", "--report", str(world.root / "out.json")).exit_code == 2
    assert not (world.root / "out.json").exists()
