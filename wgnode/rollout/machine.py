"""The rollout as a state machine whose state is the world's: from what is, to what is to be done next.

Nothing is remembered as done. `decide` is asked after every step, with facts that were looked up anew; a run that was
killed is one whose memory is empty. It always comes to `Ended` or `Paused`: every other step changes a fact or the
memory, or its failure does.
"""

from __future__ import annotations

from collections.abc import Mapping

from wgnode.rollout import back
from wgnode.rollout.course import Course, Facts, batch, named, unclear, waits
from wgnode.rollout.facts import Verdict, Where
from wgnode.rollout.steps import Apply, Compare, Ended, Gate, Memory, Order, Paused, Step

AWAY = "away"


def decide(course: Course, facts: Facts, memory: Memory, order: Order) -> Step:
    """The next step of a run that a person has started by `order`."""
    if why := unclear(course, facts):
        return Paused(why)
    if memory.back or order == "undo" or (facts.undoing and order == "resume"):
        return back.decide(course, facts, memory, memory.back or _asked(order))
    if facts.undoing and order == "run":
        return Paused(_not_again(course, facts))
    return _forward(course, facts, memory)


def attempt(facts: Facts, order: Order) -> int:
    """The number under which this run's steps go into the stacks' histories."""
    return facts.attempt + 1 if order == "again" and facts.undoing else max(1, facts.attempt)


def _asked(order: Order) -> str:
    return "a person asked for it" if order == "undo" else "its undo had begun"


def _not_again(course: Course, facts: Facts) -> str:
    left = tuple(stack for stack in course.stacks if facts.places[stack] is not Where.OLD)
    way = f"its undo has not come to {named(left)}: say resume" if left else "to try it all the same, say so (again)"
    return f"commit {course.commit[:12]} was undone here before, and is not tried again by itself; {way}"


def _forward(course: Course, facts: Facts, memory: Memory) -> Step:
    if why := _without_canary(course, facts):
        return Paused(why, _owed(course, facts, len(course.waves)))
    if course.mesh and facts.places[course.mesh] is not Where.NEW:
        return _failed(course, facts, memory, (course.mesh,)) or Apply((course.mesh,))
    for number in range(len(course.waves)):
        if step := _wave(course, facts, memory, number):
            return step
    return Ended(True, _owed(course, facts, len(course.waves)))


def _without_canary(course: Course, facts: Facts) -> str | None:
    canary, behind = course.waves[0] if course.waves else (), course.waves[1:]
    if not canary or facts.here(canary) or any(facts.at(Where.NEW, wave) for wave in behind):
        return None
    return f"the canary is away ({named(canary)}), so nothing would be proven; bring it back, or name another one"


def _wave(course: Course, facts: Facts, memory: Memory, number: int) -> Step | None:
    """What is still to be done up to this wave: also of earlier ones' sites that were away and are back."""
    stacks = tuple(stack for wave in course.waves[: number + 1] for stack in wave)
    owed = _owed(course, facts, number + 1)
    here = facts.here(stacks)
    if step := _failed(course, facts, memory, here):
        return step
    if why := waits(course, owed):
        return Paused(why, owed)
    if todo := tuple(stack for stack in here if facts.places[stack] is not Where.NEW):
        return None if _joins_the_next(course, memory, here, todo, number) else _applied(course, memory, todo, owed)
    return _gated(course, facts, memory, here, owed)


def _joins_the_next(course: Course, memory: Memory, here: tuple[str, ...], todo: tuple[str, ...], number: int) -> bool:
    """Who comes back when the others of its wave are through costs no soak of its own."""
    done = [stack for stack in course.waves[number] if stack in here and stack not in todo]
    return number + 1 < len(course.waves) and bool(done) and all(stack in memory.verdicts for stack in done)


def _applied(course: Course, memory: Memory, todo: tuple[str, ...], owed: Mapping[str, str]) -> Step:
    if fresh := tuple(stack for stack in todo if stack not in memory.compared):
        return Compare(fresh)
    if differs := {stack: memory.compared[stack] for stack in todo if memory.compared[stack]}:
        return Paused(f"the engine would do something else than was planned: {named(differs, differs)}", owed)
    return Apply(batch(course, todo, len(owed)))


def _gated(course: Course, facts: Facts, memory: Memory, here: tuple[str, ...], owed: Mapping[str, str]) -> Step | None:
    """A run that goes on where another one ended gates all that is done at once, not each wave with its own soak."""
    if any(stack not in memory.verdicts for stack in here):
        done = facts.here(facts.at(Where.NEW, course.sites))
        return Gate(tuple(stack for stack in done if stack not in memory.verdicts))
    judged = {stack: memory.verdicts[stack] for stack in here}
    if failed := [stack for stack, verdict in judged.items() if verdict is Verdict.FAIL]:
        return _failure(course, facts, memory, f"not healthy after the change: {named(failed)}")
    if unmeasured := [stack for stack, verdict in judged.items() if verdict is Verdict.UNMEASURED]:
        return Paused(f"the health of {named(unmeasured)} could not be measured; see why, and say resume", owed)
    return None


def _failed(course: Course, facts: Facts, memory: Memory, here: tuple[str, ...]) -> Step | None:
    """Somebody else's lock says nothing of the change: it waits for a person, whatever the wave."""
    found = {stack: memory.failed[stack] for stack in here if stack in memory.failed}
    if failed := {stack: why for stack, why in found.items() if stack not in memory.locked}:
        return _failure(course, facts, memory, f"could not be applied: {named(failed, failed)}")
    return Paused(f"{named(found, found)}; then say resume", _owed(course, facts, len(course.waves))) if found else None


def _failure(course: Course, facts: Facts, memory: Memory, what: str) -> Step:
    """In the canary's wave the rollout may go back by itself; once more sites have the change, only where a person has
    said so in the policy."""
    canary = course.waves[0] if course.waves else ()
    beyond = any(facts.places[stack] is not Where.OLD for stack in course.sites if stack not in canary)
    reaction = course.later_failure if beyond or not canary else course.canary_failure
    if reaction == "undo":
        return back.decide(course, facts, memory, what)
    return Paused(f"{what}; mend it and say resume, or say undo", _owed(course, facts, len(course.waves)))


def _owed(course: Course, facts: Facts, waves: int) -> dict[str, str]:
    """Sites of so many waves that are away, before they had the change or before they were seen to be well with it."""
    return {stack: AWAY for wave in course.waves[:waves] for stack in wave if stack in facts.away}
