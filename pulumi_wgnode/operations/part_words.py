"""What is wrong with a part of a site, in words: what is missing, too many or otherwise, of each kind of thing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from pulumi_wgnode.operations.site_parts import Difference, Part

NOUNS = {
    "chains": "chain",
    "directories": "directory",
    "files": "file",
    "links": "link",
    "order": "order of chain",
    "packageStates": "package",
    "peers": "peer",
    "routes": "route",
    "rules": "rule",
    "sysctls": "kernel setting",
    "taps": "tap",
    "units": "service",
    "users": "user",
    "way": "uplink",
}
"""What one thing below an output of a resource is called; others go by the output's own name."""
DIGESTS = ("applied", "live")
"""Outputs of a gateway that sum up the others of its node."""
LONGEST_LIST = 3
"""Things that are named before the rest is counted."""
LONGEST_VALUE = 90
"""Characters of a value that are shown."""
_HOST = re.compile(r"^(host )?\S+@\S+: ")
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{20,}\b")


def all_problems(parts: Sequence[Part]) -> Iterator[str]:
    """What is the matter with a site's parts; what they have in common is told once."""
    if parts and all(part.state == "missing" for part in parts):
        yield "nothing is deployed: its stack has had no `pulumi up` yet"
        return
    unread: dict[tuple[str, ...], list[str]] = {}
    for part in parts:
        if part.state == "unread":
            unread.setdefault(part.said, []).append(part.name)
        else:
            yield from problems(part)
    for why, names in unread.items():
        yield f"{', '.join(names)}: can't be read: {'; '.join(map(without_host, why))}"


def problems(part: Part) -> Iterator[str]:
    """None for a part that is as wanted."""
    if part.state == "missing":
        yield f"{part.name}: its stack has none: no `pulumi up` has got so far"
    if part.state == "gone":
        yield f"{part.name}: it is not on that host any more, or that is another host than it was deployed to"
    told = _telling(part.differences)
    for group, differences in groupby(told, lambda one: one.path[0]):
        yield from (f"{part.name}: {text}" for text in _group(group, list(differences), (part.wanted or {}).get(group)))
    yield from (f"{part.name}: {without_host(text)}" for text in part.said)


def without_host(text: str) -> str:
    """The line above it names the host already."""
    return _HOST.sub("", text)


def _telling(differences: Sequence[Difference]) -> list[Difference]:
    """Without what only follows from the others: digests, and of a node that does not run, that it has none."""
    silent = any(one.path == ("live",) and not one.found for one in differences)
    rest = [one for one in differences if one.path[0] not in DIGESTS]
    return rest if rest or silent else list(differences)


def _group(group: str, differences: Sequence[Difference], wanted: int | None) -> Iterator[str]:
    missing = [_name(one) for one in differences if one.found is None]
    extra = [one for one in differences if one.wanted is None and one.found is not None]
    changed = [one for one in differences if one.wanted is not None and one.found is not None]
    if len(missing) > 1 and len(missing) == wanted:
        yield f"none of its {wanted} {_plural(NOUNS.get(group, group))} is there"
    elif missing:
        yield f"{_listed(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    if extra:
        names = _listed([f"{_name(one)} ({_shown(one.found)})" for one in extra])
        yield f"{names} {'does' if len(extra) == 1 else 'do'} not belong there"
    shown = changed[:LONGEST_LIST]
    yield from (f"{_name(one)} is {_shown(one.found)} instead of {_shown(one.wanted)}{_hint(one)}" for one in shown)
    if more := len(changed) - len(shown):
        yield f"so {'is' if more == 1 else 'are'} {more} more of its {_plural(NOUNS.get(group, group))}"


def _name(one: Difference) -> str:
    group, *rest = one.path
    if group == "owner":
        return "the host's owner record"
    return " ".join([NOUNS.get(group, group), *rest])


def _listed(names: Sequence[str]) -> str:
    shown = list(names[:LONGEST_LIST])
    if more := len(names) - len(shown):
        shown.append(f"{more} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _plural(noun: str) -> str:
    if noun.endswith("y"):
        return f"{noun[:-1]}ies"
    return noun if noun.endswith("s") else f"{noun}s"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        text = ", ".join(map(str, value)) or "nothing"
    elif isinstance(value, dict):
        text = ", ".join(f"{name} {one}" for name, one in value.items()) or "nothing"
    else:
        text = str(value) if value not in ("", None) else "nothing"
    text = _DIGEST.sub(r"\1", text)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _hint(one: Difference) -> str:
    if one.path[0] == "units" and str(one.found).startswith("failed"):
        return f" (`journalctl -u {one.path[-1]}` on the host says why)"
    return ""


def mends(parts: Iterable[Part], stack: str) -> str | None:
    """How to go on where a part is not as wanted; one that can't be read says its own way out."""
    if any(part.state in ("differs", "gone", "missing") for part in parts):
        return f"`pulumi preview --diff --stack {stack}` shows all of it, `pulumi up` mends it"
    return None
