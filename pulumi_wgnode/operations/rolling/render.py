"""A plan for people."""

from __future__ import annotations

from collections.abc import Iterator

from pulumi_wgnode.operations import sections
from pulumi_wgnode.operations.rolling.planning import Planned
from pulumi_wgnode.operations.sections import Section, counted
from wgnode.rollout.grouping import whose


def text(planned: Planned) -> str:
    return sections.text(_headline(planned), _sections(planned))


def markdown(planned: Planned) -> str:
    return sections.markdown("wgnode rollout plan", _headline(planned), _sections(planned))


def _headline(planned: Planned) -> str:
    plan = planned.plan
    changing = len(plan.course.stacks)
    return (
        f"environment {plan.environment}, commit {plan.commit[:12]}, back to {plan.base[:12]}:"
        f" {counted(changing, 'stack')} of {len(plan.stacks)} change{'s' if changing == 1 else ''}"
    )


def _sections(planned: Planned) -> Iterator[Section]:
    plan = planned.plan
    if planned.mesh or plan.course.mesh:
        yield Section(f"Mesh {plan.mesh}", planned.mesh or ("~ as its engine plan says",))
    yield from sections.of_change(plan.groups, plan.outages, plan.lasting)
    if planned.away:
        yield Section("Away, or lets nobody in", tuple(f"{stack}: {why}" for stack, why in planned.away.items()))
    if plan.unknown:
        yield Section("Not known before the mesh's up", (f"the keys of {whose(tuple(plan.unknown))}",))
    if plan.course.stacks:
        yield Section("Order", tuple(_order(planned)))
    yield Section("Digest of the plan", (plan.digest,))


def _order(planned: Planned) -> Iterator[str]:
    if mesh := planned.plan.course.mesh:
        yield f"first: {mesh}"
    for number, wave in enumerate(planned.plan.waves):
        if wave:
            yield f"{f'wave {number}' if number else 'canary'}: {whose(wave)}"
