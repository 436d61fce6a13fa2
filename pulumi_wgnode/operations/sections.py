"""Reports for people, of titles with lines below: on a terminal, and as Markdown for a comment.

Whoever wrote what is shown may have written it for whoever reads this: no control character gets through, and in
Markdown every such word stands in a code block that it can't end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from wgnode.rollout.grouping import Group, whose

COMMENT = 65_536
"""Characters that GitHub takes as one comment (GitLab takes more)."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Section:
    title: str
    lines: tuple[str, ...]


def of_change(groups: Iterable[Group], outages: Mapping[str, str], lasting: tuple[str, ...]) -> Iterator[Section]:
    """What happens to sites, as a check foresees it from files and a plan from states."""
    for group in groups:
        yield Section(f"At {whose(group.sites)}", group.lines)
    if outages:
        told = tuple(f"{name}: {why}" for name, why in outages.items())
        yield Section("Without a tunnel for the time of a new guest", told)
    if lasting:
        yield Section("Can't be undone", lasting)


def text(headline: str, sections: Iterable[Section]) -> str:
    parts = [headline]
    for section in sections:
        parts += [f"{section.title}:", *(f"  {line}" for line in section.lines)]
    return _safe("\n".join(parts)) + "\n"


def markdown(title: str, headline: str, sections: Iterable[Section], limit: int = COMMENT) -> str:
    """At most `limit` characters; what is left out is said, with `title`'s --json as the way to it."""
    cut = f"\n… the rest is left out here, since a comment has no room for it: `{title} --json` has all of it\n"
    parts = [f"### {title}: {_safe(headline)}\n"]
    room = limit - len(cut) - len(parts[0])
    for section in sections:
        lines = [_safe(line) for line in section.lines]
        fence = "`" * max(3, 1 + max((len(run) for line in lines for run in re.findall("`+", line)), default=0))
        frame = f"\n**{_safe(section.title)}**\n{fence}diff\n{{}}\n{fence}\n"
        shown = list(_fitting(lines, room - len(frame)))
        if shown:
            parts.append(frame.replace("{}", "\n".join(shown), 1))
            room -= len(parts[-1])
        if len(shown) < len(lines):
            return "".join([*parts, cut])
    return "".join(parts)


def counted(count: int, what: str) -> str:
    """ "1 site", "3 sites"."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def _fitting(lines: Iterable[str], room: int) -> Iterator[str]:
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            return
        yield line


def _safe(said: str) -> str:
    return _CONTROL.sub("�", said)
