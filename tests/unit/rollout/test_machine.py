"""The state machine, rule by rule: what it does next, when it goes back by itself, when it waits for a person."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.rollout.worlds import NEW, OLD, WAVES, Killed, Stack, World, fates, plan, told
from wgnode.rollout.machine import decide
from wgnode.rollout.refusal import facts
from wgnode.rollout.steps import Apply, Compare, Ended, Gate, Memory, Order, Paused, Undo


def test_the_mesh_comes_first_then_each_wave_compared_applied_and_gated() -> None:
    world = World(plan(*WAVES, parallel=2))
    assert world.run("run") == Ended(True, {})
    assert [type(step) for step in world.steps] == [Apply, *[Compare, Apply, Gate] * 3, Ended]
    assert told(world, Apply) == [("dev-mesh",), *WAVES]
    assert told(world, Gate) == list(WAVES)
    assert world.at(NEW)


def test_a_mesh_that_does_not_change_is_left_alone() -> None:
    world = World(plan(*WAVES, mesh_changes=False, parallel=2))
    assert world.run("run") == Ended(True, {})
    assert told(world, Apply) == list(WAVES)
    assert not world.stacks["dev-mesh"].history


def test_of_a_wave_so_many_are_applied_at_once_and_all_are_gated_together() -> None:
    world = World(plan(("dev-a",), ("dev-b", "dev-c", "dev-d"), parallel=2))
    world.run("run")
    assert told(world, Apply) == [("dev-mesh",), ("dev-a",), ("dev-b", "dev-c"), ("dev-d",)]
    assert told(world, Gate) == [("dev-a",), ("dev-b", "dev-c", "dev-d")]


@pytest.mark.parametrize(("unavailable", "at_once"), [(1, 1), (2, 2), (3, 3)])
def test_sites_whose_gateway_starts_anew_are_never_more_at_once_than_may_be_unavailable(
    unavailable: int, at_once: int
) -> None:
    wave = ("dev-b", "dev-c", "dev-d")
    world = World(plan(("dev-a",), wave, parallel=3, unavailable=unavailable, outages=dict.fromkeys(wave, "image")))
    world.run("run")
    assert max(len(stacks) for stacks in told(world, Apply)) == at_once


def test_behind_the_canary_a_failure_waits_for_a_person_who_may_go_on_or_back() -> None:
    broken = {"gate_oslo": "fail"}
    world = World(plan(*WAVES, parallel=2), lambda what, stack: fates(**broken)(what, stack))
    paused = world.run("run")
    assert isinstance(paused, Paused)
    assert "dev-oslo" in paused.why
    assert "resume" in paused.why
    assert not told(world, Undo)
    assert isinstance(world.run("resume"), Paused)
    broken.clear()
    assert world.run("resume") == Ended(True, {})
    assert world.applied.most_common(1)[0][1] == 1


def test_both_reactions_are_the_policys() -> None:
    world = World(plan(*WAVES, canary_failure="pause"), fates(gate_berlin="fail"))
    assert isinstance(world.run("run"), Paused)
    world = World(plan(*WAVES, parallel=2, later_failure="undo"), fates(gate_oslo="fail"))
    assert world.run("run") == Ended(False, {})


def test_what_could_not_be_measured_pauses_and_neither_passes_nor_undoes() -> None:
    world = World(plan(*WAVES), fates(gate_berlin="no probe came back"))
    paused = world.run("run")
    assert isinstance(paused, Paused)
    assert "could not be measured" in paused.why
    assert not told(world, Undo)
    assert told(world, Apply) == [("dev-mesh",), ("dev-berlin",)]


def test_an_engine_plan_that_differs_from_the_prediction_pauses_before_anything_is_applied() -> None:
    world = World(plan(*WAVES), fates(compare_cabin="would replace the gateway"))
    paused = world.run("run")
    assert isinstance(paused, Paused)
    assert "dev-cabin (would replace the gateway)" in paused.why
    assert told(world, Apply) == [("dev-mesh",), ("dev-berlin",)]


def test_a_site_that_is_away_is_owed_and_joins_when_it_is_back() -> None:
    world = World(plan(*WAVES))
    world.stacks["dev-oslo"].here = False
    assert world.run("run") == Ended(True, {"dev-oslo": "away"})
    assert not world.stacks["dev-oslo"].history
    world.stacks["dev-oslo"].here = True
    assert world.run("resume") == Ended(True, {})
    assert set(world.applied.values()) == {1}


def test_more_away_than_may_be_unavailable_pause_it_and_are_named() -> None:
    world = World(plan(*WAVES))
    world.stacks["dev-oslo"].here = world.stacks["dev-paris"].here = False
    paused = world.run("run")
    assert isinstance(paused, Paused)
    assert "dev-oslo (away), dev-paris (away)" in paused.why
    assert paused.owed == {"dev-oslo": "away", "dev-paris": "away"}


@pytest.mark.parametrize("kind", ["kill before", "kill half", "kill pending", "kill"])
@pytest.mark.parametrize("order", ["run", "undo"])
def test_a_runner_that_is_killed_at_any_moment_is_followed_by_one_that_ends_it(kind: str, order: Order) -> None:
    """Each moment is tried: the number of the thing that is done when it dies."""
    for moment in range(1, 100):
        world, count = World(plan(*WAVES, parallel=2)), 0
        if order == "undo":
            world.run("run")

        def fate(what: str, stack: str, moment: int = moment) -> str:
            nonlocal count
            count += 1
            changes = what in ("apply", "undo")
            return "well" if count != moment else kind if changes else "kill"

        world.fate = fate
        try:
            assert world.run(order) == Ended(order == "run", {})
            assert moment > 10
            return
        except Killed:
            world.fate = fates()
        # Of an undo that had not begun nothing is left in the world: the person says it again.
        assert world.run(order if moment == 1 and kind == "kill before" else "resume") == Ended(order == "run", {})
        assert not world.needless
        assert kind != "kill" or set(world.applied.values()) == {1 if order == "run" else 2}


def test_a_canary_that_is_away_proves_nothing_so_nothing_begins() -> None:
    world = World(plan(*WAVES))
    world.stacks["dev-berlin"].here = False
    paused = world.run("run")
    assert isinstance(paused, Paused)
    assert "canary is away (dev-berlin)" in paused.why
    assert not world.applied


def test_a_second_attempt_that_is_cut_off_goes_on_forward() -> None:
    now = {"gate_berlin": "fail"}
    world = World(plan(*WAVES), lambda what, stack: fates(**now)(what, stack))
    world.run("run")
    now.update(gate_berlin="kill")
    with pytest.raises(Killed):
        world.run("again")
    now.clear()
    assert world.run("resume") == Ended(True, {})


def test_a_state_that_somebody_moved_is_named_with_its_difference() -> None:
    world = World(plan(*WAVES))
    world.stacks["dev-paris"].generation = 31
    paused = world.run("run")
    assert isinstance(paused, Paused)
    assert "stack dev-paris: wgnode:index:Gateway site-gateway: other inputs" in paused.why
    assert not world.applied


def test_what_a_person_brought_to_the_same_by_hand_is_not_applied_again() -> None:
    world = World(plan(*WAVES), fates(gate_berlin="kill"))
    with pytest.raises(Killed):
        world.run("run")
    world.fate = fates()
    world.stacks["dev-oslo"].digests, world.stacks["dev-oslo"].generation = NEW, 7
    assert world.run("resume") == Ended(True, {})
    assert world.applied["dev-oslo"] == 0


def test_a_backend_that_does_not_answer_pauses() -> None:
    world = World(plan(*WAVES))
    world.backend = False
    paused = world.run("run")
    assert isinstance(paused, Paused)
    assert "could not be read" in paused.why


def test_a_site_whose_update_failed_in_the_middle_is_applied_again_by_resume_whatever_its_inputs_say() -> None:
    broken = {"apply_oslo": "fail pending"}
    world = World(plan(*WAVES, parallel=2), lambda what, stack: fates(**broken)(what, stack))
    assert isinstance(world.run("run"), Paused)
    assert world.stacks["dev-oslo"].digests == NEW
    broken.clear()
    assert world.run("resume") == Ended(True, {})
    assert (world.applied["dev-oslo"], world.stacks["dev-oslo"].pending) == (2, False)


def test_a_plan_takes_up_what_an_update_before_it_has_left_in_the_middle() -> None:
    """Also where nothing else is to be changed: then old and new look alike."""
    made = plan(*WAVES, parallel=2)
    states = {name: Stack(name, pending=True).seen().state for name in ("dev-berlin", "dev-oslo")}
    bound = {name: replace(made.stacks[name], state=state) for name, state in states.items()}
    bound["dev-oslo"] = replace(bound["dev-oslo"], after=OLD)
    made = replace(made, stacks={**made.stacks, **bound})

    world = World(made)
    for name in states:
        world.stacks[name].pending = True
    assert world.run("run") == Ended(True, {})
    assert not any(stack.pending for stack in world.stacks.values())
    assert world.run("undo") == Ended(False, {})
    assert world.run("undo") == Ended(False, {})
    assert world.applied["dev-oslo"] == 2


def test_a_lock_of_somebody_else_says_nothing_of_the_change_and_pauses_even_the_canary() -> None:
    memory = Memory().after_apply(Apply(("dev-berlin",)), {"dev-berlin": "is locked by anna"}, {"dev-berlin"})
    world = World(plan(*WAVES, mesh_changes=False))
    step = decide(world.plan.course, facts(world.plan, world.seen()), memory, "run")
    assert isinstance(step, Paused)
    assert step.why == "dev-berlin (is locked by anna); then say resume"


def test_without_a_canary_a_failure_pauses() -> None:
    world = World(plan((), ("dev-berlin", "dev-cabin"), parallel=9), fates(gate_cabin="fail"))
    assert isinstance(world.run("run"), Paused)
