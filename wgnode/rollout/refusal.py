"""Why a plan is not run: the world is another one than the one that it was made for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from wgnode.rollout.course import Facts
from wgnode.rollout.facts import Bound, Seen, attempts, where
from wgnode.rollout.fingerprint import differences
from wgnode.rollout.plan import Plan

SHOWN = 3
"""Differences of a stack that are named; more are counted."""


def refusals(plan: Plan, environment: str, version: str, commit: str) -> Iterator[str]:
    """Of what can be told without looking at any stack."""
    if plan.environment != environment:
        yield f"the plan is of environment {plan.environment!r}, not of {environment!r}"
    if plan.version != version:
        yield f"the plan was made by wgnode {plan.version}, this is {version}: make it anew"
    if plan.commit != commit:
        yield f"the plan is of commit {plan.commit[:12]}, but {commit[:12]} is checked out: check that out or plan anew"


def moved(plan: Plan, seen: Mapping[str, Seen | None]) -> dict[str, str]:
    """By stack, what is another state than the one that the plan was made for, before this rollout touched it."""
    found: dict[str, str] = {}
    for stack, bound in plan.stacks.items():
        now = seen.get(stack)
        if now is not None and not now.ours(plan.commit) and now.state != bound.state:
            found[stack] = _told(bound, now)
    return found


def facts(plan: Plan, seen: Mapping[str, Seen | None]) -> Facts:
    """What the state machine judges by; `seen` has every stack of the plan, None where its state can't be read."""
    course = plan.course
    last, undoing = attempts(seen, plan.commit)
    return Facts(
        places={stack: where(plan.stacks[stack], seen.get(stack), plan.commit) for stack in course.stacks},
        away=frozenset(stack for stack in course.sites if (now := seen.get(stack)) and not now.reachable),
        attempt=last,
        undoing=undoing,
        ours=frozenset(stack for stack in course.stacks if (now := seen.get(stack)) and now.ours(plan.commit)),
        undone=frozenset(stack for stack in course.stacks if (now := seen.get(stack)) and now.undone(plan.commit)),
        moved=moved(plan, seen),
    )


def _told(bound: Bound, now: Seen) -> str:
    all_of_them = list(differences(bound.state, now.state))
    more = f", and {len(all_of_them) - SHOWN} more" if len(all_of_them) > SHOWN else ""
    return ", ".join(islice(all_of_them, SHOWN)) + more
