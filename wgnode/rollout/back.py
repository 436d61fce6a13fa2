"""The way back: the last good commit to all that the rollout touched, the mesh first, then the last wave first.

A site reads its mesh when it runs: while that has the new commit, no site can be made what it was.
"""

from __future__ import annotations

from collections.abc import Mapping

from wgnode.rollout.course import Course, Facts, batch, named, waits
from wgnode.rollout.facts import Where
from wgnode.rollout.steps import Ended, Memory, Paused, Step, Undo, Verify


def decide(course: Course, facts: Facts, memory: Memory, why: str) -> Step:
    """`why` the rollout goes back. A failure on the way forward is no failure of the undo.

    What it touched is undone also where the state looks as before: a failure may have left half a change on the host.
    """
    failed = memory.failed if memory.back else {}
    touched = facts.ours - facts.undone
    left = [stack for stack in course.stacks if stack in {*touched, *failed} or facts.places[stack] is not Where.OLD]
    owed = {stack: told for stack in left if stack != course.mesh and (told := _owed(facts, failed, stack))}
    if course.mesh in left:
        if course.mesh in failed:
            return Paused(f"{course.mesh} could not be undone: {failed[course.mesh]}; mend it and say undo again", owed)
        return Undo((course.mesh,), why)
    for wave in reversed(course.waves):
        if todo := [stack for stack in wave if stack in left and stack not in owed]:
            return Undo(batch(course, todo, len(owed)), why)
    if late := waits(course, owed):
        return Paused(late, owed)
    return _verified(course, facts, memory, why, owed)


def _owed(facts: Facts, failed: Mapping[str, str], stack: str) -> str | None:
    if stack in facts.away:
        return "away, not undone"
    return f"could not be undone: {failed[stack]}" if stack in failed else None


def _verified(course: Course, facts: Facts, memory: Memory, why: str, owed: dict[str, str]) -> Step:
    """A stack that could be previewed only if its host answered is owed that too."""
    back = facts.at(Where.OLD, course.stacks)
    touched = [stack for stack in back if stack in facts.ours and stack not in owed]
    unseen = {stack: "away, not verified" for stack in touched if stack in facts.away}
    if fresh := tuple(stack for stack in touched if stack not in memory.clean and stack not in unseen):
        return Verify(fresh)
    if differs := {stack: memory.clean[stack] for stack in touched if memory.clean.get(stack)}:
        return Paused(f"undone ({why}), but not as before: {named(differs, differs)}", owed)
    owed = {**owed, **unseen}
    return Paused(late, owed) if (late := waits(course, owed)) else Ended(False, owed)
