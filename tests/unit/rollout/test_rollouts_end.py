"""Whatever fails, goes away or is killed: it ends at the new commit, at the old one, or paused and saying why."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.rollout.worlds import NEW, OLD, Killed, World, plan
from wgnode.rollout.steps import Ended, Order, Paused

SITES = tuple(f"dev-{name}" for name in "abcdefg")
FATES = {
    "apply": ("fail", "fail half", "fail pending", "kill before", "kill half", "kill pending", "kill"),
    "undo": ("fail", "fail half", "fail pending", "kill before", "kill half", "kill pending", "kill"),
    "compare": ("would replace it", "kill"),
    "verify": ("another image", "kill"),
    "gate": ("fail", "no probe came back", "kill"),
}


@st.composite
def waves(draw: st.DrawFn) -> tuple[tuple[str, ...], ...]:
    """A canary, which may be empty, and up to three waves of the sites behind it."""
    names = list(SITES[: draw(st.integers(2, len(SITES)))])
    canary = draw(st.integers(0, 2))
    cuts = sorted(draw(st.lists(st.integers(canary, len(names)), max_size=2)))
    bounds = [canary, *cuts, len(names)]
    cut = (tuple(names[low:high]) for low, high in pairwise(bounds))
    return (tuple(names[:canary]), *(wave for wave in cut if wave))


class Rollouts(RuleBasedStateMachine):
    @initialize(
        cut=waves(),
        parallel=st.integers(1, 4),
        unavailable=st.integers(0, 3),
        mesh_changes=st.booleans(),
        outages=st.sets(st.sampled_from(SITES)),
        reactions=st.tuples(*[st.sampled_from(["undo", "pause"])] * 2),
    )
    def begin(self, cut, parallel, unavailable, mesh_changes, outages, reactions) -> None:  # type: ignore[no-untyped-def]
        self.world = World(
            plan(
                *cut,
                mesh_changes=mesh_changes,
                parallel=parallel,
                unavailable=unavailable,
                outages=dict.fromkeys(sorted(outages & {name for wave in cut for name in wave}), "image"),
                canary_failure=reactions[0],
                later_failure=reactions[1],
            )
        )
        self.by_hand = False

    @rule(
        order=st.sampled_from(["run", "again", "resume", "resume", "undo"]),
        rate=st.sampled_from([1, 4, 20]),
        data=st.data(),
    )
    def run(self, order: Order, rate: int, data: st.DataObject) -> None:
        """One in `rate` things goes wrong."""

        def fate(what: str, stack: str) -> str:
            wrong = data.draw(st.integers(1, rate), label=f"{what} {stack}") == rate
            return data.draw(st.sampled_from(FATES[what])) if wrong else "well"

        self.world.fate = fate
        try:
            self.judge(self.world.run(order))
        except Killed:
            return

    @rule(name=st.sampled_from(SITES))
    def host_comes_or_goes(self, name: str) -> None:
        if stack := self.world.stacks.get(name):
            stack.here = not stack.here

    @rule()
    def backend_comes_or_goes(self) -> None:
        self.world.backend = not self.world.backend

    @precondition(lambda self: not self.by_hand)
    @rule(name=st.sampled_from(SITES), as_wanted=st.booleans())
    def a_person_runs_up(self, name: str, as_wanted: bool) -> None:
        if stack := self.world.stacks.get(name):
            stack.digests, stack.pending = NEW if as_wanted else {"configuration": "by hand"}, False
            stack.generation += 100
            self.by_hand = True

    def judge(self, end: Ended | Paused) -> None:
        if isinstance(end, Paused):
            assert end.why
            return
        wanted, world = NEW if end.new else OLD, self.world
        for name in world.plan.course.stacks:
            stack = world.stacks[name]
            if stack.digests != wanted or stack.pending:
                assert name in end.owed
                assert not stack.here or end.owed[name].startswith("could not be undone: ")
        assert len(end.owed) <= world.plan.unavailable

    @invariant()
    def nothing_is_done_twice_without_need(self) -> None:
        assert not getattr(self, "world", None) or not (self.world.needless or self.world.astray)

    def teardown(self) -> None:
        """When all is well again, a person's `resume` brings any rollout to its end, and so does `undo`."""
        if not (world := getattr(self, "world", None)) or self.by_hand:
            return
        world.fate, world.backend = lambda what, stack: "well", True
        for stack in world.stacks.values():
            stack.here = True
        for order in ("resume", "undo"):
            end = world.run(order)
            assert isinstance(end, Ended), end
            assert not end.owed
            self.judge(end)
        assert not world.needless


TestRollouts = Rollouts.TestCase
TestRollouts.settings = settings(
    max_examples=100, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
