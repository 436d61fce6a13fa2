"""In what a domain that runs differs from what it was started as, each difference named. Pure.

Both texts are libvirt's own, of one start, so all that it fills in by itself is in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

_BY_ITSELF = ("channel/target/@state",)
"""Ends of paths that change without anybody's doing: whether the node has its control port open."""


def differences(started: str, now: str) -> list[str]:
    """One line each, such as "memory is 262144 instead of 131072". Raises ValueError for what is no XML."""
    before, after = (dict(_said(_parsed(text), "")) for text in (started, now))
    paths = [*before, *(path for path in after if path not in before)]
    return [line for path in paths if (line := _difference(path, before, after))]


def _difference(path: str, before: dict[str, str], after: dict[str, str]) -> str | None:
    one, other, parent = before.get(path), after.get(path), path.rpartition("/")[0]
    if one == other or (parent and (parent in before) != (parent in after)):  # told of what it is part of
        return None
    name = path.replace("/@", " ").lstrip("/").replace("/", " ")
    if one is None:
        return f"{name} has come{f': {other}' if other else ''}"
    if other is None:
        return f"{name} is gone"
    return f"{name} is {other or 'empty'} instead of {one or 'empty'}"


def _parsed(text: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"no XML of a domain: {error}") from None


def _said(element: ElementTree.Element, path: str) -> Iterator[tuple[str, str]]:
    """Each element and attribute below, by a path that tells devices of one kind apart."""
    yield path, (element.text or "").strip()
    for name, value in element.attrib.items():
        if not _without_names(f"{path}/@{name}").endswith(_BY_ITSELF):
            yield f"{path}/@{name}", value
    counted: dict[str, int] = {}
    for child in element:
        counted[child.tag] = counted.get(child.tag, 0) + 1
        yield from _said(child, f"{path}/{child.tag}{_called(child, counted[child.tag])}")


def _called(element: ElementTree.Element, number: int) -> str:
    """libvirt's name of a device where it has one."""
    alias = element.find("alias")
    if alias is not None and (name := alias.get("name")):
        return f"[{name}]"
    return f"[{number}]" if number > 1 else ""


def _without_names(path: str) -> str:
    return "/".join(part.partition("[")[0] for part in path.split("/"))
