"""A check's report for people: on a terminal, and as Markdown for a comment.

Whoever wrote the change may have written its values for whoever reads this: no control character gets through, and in
Markdown every word of theirs stands in a code block that they can't end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pulumi_wgnode.operations.checking.report import MeshChange, Report
from wgnode.rollout.grouping import whose

COMMENT = 65_536
"""Characters that GitHub and GitLab take as one comment (GitLab takes more)."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CUT = "… the rest is left out here, since a comment has no room for it: `wgnode check --json` has all of it"


@dataclass(frozen=True)
class Section:
    title: str
    lines: tuple[str, ...]


def text(report: Report) -> str:
    parts = [_headline(report)]
    for section in _sections(report):
        parts += [f"{section.title}:", *(f"  {line}" for line in section.lines)]
    return _safe("\n".join(parts)) + "\n"


def markdown(report: Report, limit: int = COMMENT) -> str:
    """At most `limit` characters."""
    parts, room = [f"### wgnode check: {_safe(_headline(report))}\n"], limit - len(_CUT) - 100
    room -= len(parts[0])
    for section in _sections(report):
        lines = [_safe(line) for line in section.lines]
        fence = "`" * max(3, 1 + max((len(run) for line in lines for run in re.findall("`+", line)), default=0))
        frame = f"\n**{_safe(section.title)}**\n{fence}diff\n{{}}\n{fence}\n"
        shown = list(_fitting(lines, room - len(frame)))
        if shown:
            parts.append(frame.replace("{}", "\n".join(shown), 1))
            room -= len(parts[-1])
        if len(shown) < len(lines):
            return "".join([*parts, f"\n{_CUT}\n"])
    return "".join(parts)


def _headline(report: Report) -> str:
    whose_files = f"environment {report.environment}" if report.environment else "all environments"
    count = "no problems" if not report.problems else _counted(len(report.problems), "problem")
    against = f", compared with {report.against[:12]}" if report.against else ""
    return f"{whose_files}, {_counted(report.sites, 'site')}{against}: {count}"


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
    for group in seen.groups:
        yield Section(f"At {whose(group.sites)}", group.lines)
    if seen.outages:
        yield Section(
            "Without a tunnel for the time of a new guest", tuple(f"{n}: {w}" for n, w in seen.outages.items())
        )
    if seen.lasting:
        yield Section("Can't be undone", seen.lasting)
    if change.waves:
        yield Section(f"Waves of a rollout of {stack}", tuple(_waves(change.waves)))


def _waves(waves: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for number, wave in enumerate(waves):
        if wave:
            yield f"{f'wave {number}' if number else 'canary'}: {whose(wave)}"


def _fitting(lines: Iterable[str], room: int) -> Iterator[str]:
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            return
        yield line


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _safe(said: str) -> str:
    return _CONTROL.sub("�", said)
