"""The way back, rule by rule: when the rollout takes it, what it undoes, and what it leaves owed."""

from __future__ import annotations

import pytest

from tests.unit.rollout.worlds import OLD, WAVES, Killed, World, fates, plan, told
from wgnode.rollout.facts import Told
from wgnode.rollout.steps import Apply, Ended, Paused, Undo, Verify


@pytest.mark.parametrize("broken", ["apply_berlin", "gate_berlin", "apply_mesh"])
def test_in_the_canary_wave_the_rollout_undoes_itself_the_mesh_first(broken: str) -> None:
    world = World(plan(*WAVES), fates(**{broken: "fail"}))
    assert world.run("run") == Ended(False, {})
    assert world.at(OLD)
    assert not world.stacks["dev-cabin"].history
    undone = [name for stacks in told(world, Undo) for name in stacks]
    assert undone == ["dev-mesh"] if broken == "apply_mesh" else ["dev-mesh", "dev-berlin"]
    assert told(world, Verify)


def test_undo_goes_the_waves_back_and_ends_in_a_clean_preview() -> None:
    world = World(plan(*WAVES, parallel=2), fates(gate_paris="fail"))
    world.run("run")
    assert world.run("undo") == Ended(False, {})
    assert told(world, Undo) == [("dev-mesh",), ("dev-paris",), ("dev-cabin", "dev-oslo"), ("dev-berlin",)]
    assert told(world, Verify) == [("dev-mesh", "dev-berlin", "dev-cabin", "dev-oslo", "dev-paris")]
    assert world.at(OLD)


def test_an_undo_that_is_not_clean_says_what_differs() -> None:
    world = World(plan(*WAVES), fates(gate_berlin="fail", verify_berlin="another image"))
    paused = world.run("run")
    assert isinstance(paused, Paused)
    assert "dev-berlin (another image)" in paused.why


def test_a_revision_that_was_undone_is_not_tried_again_unless_told() -> None:
    broken = {"gate_berlin": "fail"}
    world = World(plan(*WAVES), lambda what, stack: fates(**broken)(what, stack))
    world.run("run")
    steps = len(world.steps)
    paused = world.run("run")
    assert isinstance(paused, Paused)
    assert len(world.steps) == steps + 1
    assert "was undone here before" in paused.why
    broken.clear()
    assert world.run("again") == Ended(True, {})


def test_an_undo_that_is_cut_off_goes_on_as_an_undo() -> None:
    now = {"gate_berlin": "fail", "undo_mesh": "kill half"}
    world = World(plan(*WAVES), lambda what, stack: fates(**now)(what, stack))
    with pytest.raises(Killed):
        world.run("run")
    now.clear()
    assert world.run("resume") == Ended(False, {})
    assert world.at(OLD)


@pytest.mark.parametrize("unavailable", [0, 1])
def test_a_site_that_can_not_be_undone_is_owed_and_pauses_only_beyond_max_unavailable(unavailable: int) -> None:
    world = World(plan(*WAVES, parallel=2, unavailable=unavailable), fates(gate_oslo="fail", undo_cabin="fail pending"))
    world.run("run")
    owed = {"dev-cabin": "could not be undone: the engine said no"}
    end = world.run("undo")
    if unavailable:
        assert end == Ended(False, owed)
    else:
        assert isinstance(end, Paused)
        assert "dev-cabin (could not be undone: the engine said no); maxUnavailable allows 0" in end.why
        assert end.owed == owed
    assert world.stacks["dev-mesh"].digests == OLD
    assert world.stacks["dev-berlin"].digests == OLD
    world.fate = fates()
    assert world.run("undo") == Ended(False, {})


def test_a_mesh_that_can_not_be_undone_pauses() -> None:
    world = World(plan(*WAVES), fates(gate_berlin="fail", undo_mesh="fail"))
    paused = world.run("run")
    assert isinstance(paused, Paused)
    assert "dev-mesh could not be undone: the engine said no" in paused.why


@pytest.mark.parametrize("mesh_changes", [False, True])
def test_a_canary_that_failed_without_a_trace_is_undone_too_and_its_revision_not_tried_again(
    mesh_changes: bool,
) -> None:
    """Its state looks as before; its host may have half a change."""
    world = World(plan(*WAVES, mesh_changes=mesh_changes), fates(apply_berlin="fail"))
    assert world.run("run") == Ended(False, {})
    assert told(world, Undo)[-1] == ("dev-berlin",)
    applied = world.applied.copy()
    paused = world.run("run")
    assert isinstance(paused, Paused)
    assert "was undone here before" in paused.why
    assert world.applied == applied


def test_an_undo_leaves_owed_who_is_away_and_fetches_it_later() -> None:
    world = World(plan(*WAVES, parallel=2), fates(gate_paris="fail"))
    world.run("run")
    world.stacks["dev-oslo"].here = False
    assert world.run("undo") == Ended(False, {"dev-oslo": "away, not undone"})
    world.stacks["dev-oslo"].here = True
    assert world.run("resume") == Ended(False, {})
    assert world.at(OLD)


def test_sites_that_can_not_be_verified_count_as_unavailable() -> None:
    world = World(plan(*WAVES, parallel=2), fates(gate_paris="fail", verify_mesh="kill"))
    world.run("run")
    with pytest.raises(Killed):
        world.run("undo")
    world.fate = fates()
    world.stacks["dev-cabin"].here = world.stacks["dev-oslo"].here = False
    paused = world.run("resume")
    assert isinstance(paused, Paused)
    assert paused.owed == {"dev-cabin": "away, not verified", "dev-oslo": "away, not verified"}
    world.stacks["dev-oslo"].here = True
    assert world.run("resume") == Ended(False, {"dev-cabin": "away, not verified"})


def test_what_failed_on_the_way_forward_is_undone_wave_by_wave() -> None:
    """oslo, away in its own wave, joins paris's; both fail."""

    def fate(what: str, stack: str) -> str:
        if (what, stack) == ("gate", "dev-cabin"):
            world.stacks["dev-oslo"].here = True
        return "fail half" if what == "apply" and stack in ("dev-oslo", "dev-paris") else "well"

    world = World(plan(*WAVES, parallel=2, later_failure="undo"), fate)
    world.stacks["dev-oslo"].here = False
    assert world.run("run") == Ended(False, {})
    assert told(world, Apply)[-1] == ("dev-oslo", "dev-paris")  # one soak for both
    assert told(world, Undo)[1:3] == [("dev-paris",), ("dev-cabin", "dev-oslo")]


def test_what_another_commit_did_later_is_somebody_elses() -> None:
    world = World(plan(*WAVES))
    world.run("run")
    berlin = world.stacks["dev-berlin"]
    berlin.history.append(Told("d" * 40))
    berlin.digests, berlin.generation = {"configuration": "newer"}, 9
    assert isinstance(paused := world.run("undo"), Paused)
    assert "dev-berlin" in paused.why
