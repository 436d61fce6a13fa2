"""The way back: the last good commit to all that the rollout touched, the last wave first, the mesh last."""

from __future__ import annotations

from wgnode.rollout.course import Course, Facts, batch, named, waits
from wgnode.rollout.facts import Where
from wgnode.rollout.steps import Ended, Memory, Paused, Step, Undo, Verify


def decide(course: Course, facts: Facts, memory: Memory, why: str) -> Step:
    """`why` the rollout goes back. A failure on the way forward is no failure of the undo."""
    failed = memory.failed if memory.back else {}
    left = [stack for stack in course.stacks if facts.places[stack] is not Where.OLD]
    owed = {stack: "away, not undone" for stack in left if stack in facts.away}
    for wave in reversed(course.waves):
        if todo := [stack for stack in wave if stack in left and stack not in owed and stack not in failed]:
            return Undo(batch(course, todo, len(owed)), why)
    if stuck := {stack: failed[stack] for stack in left if stack in failed and stack not in owed}:
        return Paused(f"could not be undone: {named(stuck, stuck)}; mend it and say undo again", owed)
    if late := waits(course, owed.keys()):
        return Paused(late, owed)
    if course.mesh in left:
        return Undo((course.mesh,), why)
    return _verified(course, facts, memory, why, owed)


def _verified(course: Course, facts: Facts, memory: Memory, why: str, owed: dict[str, str]) -> Step:
    """A stack that could be previewed only if its host answered is owed that too."""
    touched = [stack for stack in course.stacks if stack in facts.ours and facts.places[stack] is Where.OLD]
    unseen = {stack: "away, not verified" for stack in touched if stack in facts.away}
    if fresh := tuple(stack for stack in touched if stack not in memory.clean and stack not in unseen):
        return Verify(fresh)
    if differs := {stack: memory.clean[stack] for stack in touched if memory.clean.get(stack)}:
        return Paused(f"undone ({why}), but not as before: {named(differs, differs)}", owed)
    if late := waits(course, owed.keys() | unseen.keys()):
        return Paused(late, {**owed, **unseen})
    return Ended(False, {**owed, **unseen})
