"""A check's report for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pulumi_wgnode.operations import sections
from pulumi_wgnode.operations.checking.report import MeshChange, Report
from pulumi_wgnode.operations.sections import COMMENT, Section, counted
from wgnode.rollout.grouping import whose


def text(report: Report) -> str:
    return sections.text(_headline(report), _sections(report))


def markdown(report: Report, limit: int = COMMENT) -> str:
    """At most `limit` characters."""
    return sections.markdown("wgnode check", _headline(report), _sections(report), limit)


def _headline(report: Report) -> str:
    whose_files = f"environment {report.environment}" if report.environment else "all environments"
    count = "no problems" if not report.problems else counted(len(report.problems), "problem")
    against = f", compared with {report.against[:12]}" if report.against else ""
    return f"{whose_files}, {counted(report.sites, 'site')}{against}: {count}"


def _sections(report: Report) -> Iterator[Section]:
    if report.problems:
        yield Section("Problems", tuple(line for one in report.problems for line in str(one).splitlines()))
    for stack, change in report.meshes.items():
        yield from _of_mesh(stack, change)
    if report.meshes and not any(change.outlook.groups or change.outlook.mesh for change in report.meshes.values()):
        yield Section("Changes", ("none of nodes, routes, rules or settings",))
    if report.notes:
        yield Section("Notes", report.notes)


def _of_mesh(stack: str, change: MeshChange) -> Iterator[Section]:
    seen = change.outlook
    if seen.mesh:
        yield Section(f"Mesh {stack}", seen.mesh)
    yield from sections.of_change(seen.groups, seen.outages, seen.lasting)
    if change.waves:
        yield Section(f"Waves of a rollout of {stack}", tuple(_waves(change.waves)))


def _waves(waves: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for number, wave in enumerate(waves):
        if wave:
            yield f"{f'wave {number}' if number else 'canary'}: {whose(wave)}"
