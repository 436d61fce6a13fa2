"""A plan is a value: the same bytes again, nothing else accepted, and refused where its world is another one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.unit.rollout.worlds import COMMIT, World, plan
from wgnode.rollout.facts import Where
from wgnode.rollout.grouping import Group
from wgnode.rollout.plan import Plan, PlanError
from wgnode.rollout.refusal import facts, moved, refusals

MADE = plan(
    ("dev-berlin",),
    ("dev-cabin", "dev-oslo"),
    more=("dev-still",),
    groups=(Group(("berlin", "cabin"), ("+ peer paris",)),),
    outages={"dev-oslo": "a new guest: gateway.image"},
    lasting=("site 'rome' is forgotten",),
    unknown={"paris": ""},
    away=("dev-oslo",),
)


def test_a_plan_comes_back_from_its_bytes_with_the_same_digest() -> None:
    again = Plan.from_json(MADE.to_json())
    assert again == MADE
    assert again.digest == MADE.digest
    assert again.course == MADE.course


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        (b"{}", "this is no plan"),
        (b"[1]", "this is no plan"),
        (b"not JSON", "this is no plan"),
        (b"[" * 100_000, "this is no plan"),
        (b'{"format":99}', "format 99"),
        (b'{"format":1}', "is damaged"),
        (MADE.to_json().replace(b'"parallel":1', b'"parallel": 1'), "somebody has changed it"),
    ],
)
def test_anything_else_is_refused(blob: bytes, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        Plan.from_json(blob)


def test_every_change_of_a_plan_is_another_digest() -> None:
    raw = json.loads(MADE.to_json())
    assert len({MADE.digest, *(replace(MADE, **{name: 7}).digest for name in raw if name != "format")}) == len(raw)


def test_a_plan_of_another_commit_environment_or_version_is_refused_by_name() -> None:
    assert list(refusals(MADE, "dev", "0.1.0", COMMIT)) == []
    said = " / ".join(refusals(MADE, "prod", "0.2.0", "d" * 40))
    assert "environment 'dev', not of 'prod'" in said
    assert "made by wgnode 0.1.0, this is 0.2.0" in said
    assert "commit cccccccccccc, but dddddddddddd is checked out" in said


def test_a_moved_state_is_named_also_of_a_stack_that_does_not_change() -> None:
    world = World(MADE)
    assert moved(MADE, world.seen()) == {}
    world.stacks["dev-still"].generation = 31
    assert moved(MADE, world.seen()) == {"dev-still": "wgnode:index:Gateway site-gateway: other inputs"}
    world.stacks["dev-berlin"].pending = True
    assert "an operation was cut off" in moved(MADE, world.seen())["dev-berlin"]


def test_what_the_rollout_itself_has_done_is_not_moved() -> None:
    world = World(MADE)
    world.run("run")
    assert moved(MADE, world.seen()) == {}
    assert set(facts(MADE, world.seen()).places.values()) == {Where.NEW}
