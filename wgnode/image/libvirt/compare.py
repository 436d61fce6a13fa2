"""In what a domain that runs differs from what it was started as, each difference named. Pure.

Both texts are libvirt's own, of one start, and say more than we did. What it has filled in by itself it may say
otherwise later, as after a restart of libvirtd: that is no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

_TUNED = ("/blkiotune", "/cputune", "/memtune", "/numatune", "/vcpu/@current")
"""What `virsh schedinfo`, `memtune`, `vcpupin`, `setvcpus` and the like have set of a domain that runs."""


def paths(*rendered: str) -> frozenset[str]:
    """Of all elements and attributes of our own texts."""
    return frozenset(_without_names(path) for text in rendered for path, _ in _said(_parsed(text), ""))


def differences(started: str, now: str, ours: Iterable[str]) -> list[str]:
    """One line each, such as "memory is 262144 instead of 131072". Raises ValueError for what is no XML.

    Of `ours`, what was at the start and is not the same; and what has come: a device, something of a card, a limit.
    """
    before, after = (dict(_said(_parsed(text), "")) for text in (started, now))
    come = [path for path in after if path not in before and _counts(_without_names(path))]
    said = frozenset(ours)
    stayed = [path for path in before if _without_names(path) in said]
    return [line for path in (*stayed, *come) if (line := _difference(path, before, after))]


def _counts(path: str) -> bool:
    """Whether it is drift that something came there, of which there was nothing."""
    parent = path.rpartition("/")[0]
    return path in _TUNED or parent in ("/devices", "/devices/interface")


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
        yield f"{path}/@{name}", value
    counted: dict[str, int] = {}
    for child in element:
        counted[child.tag] = counted.get(child.tag, 0) + 1
        yield from _said(child, f"{path}/{child.tag}{_called(child, counted[child.tag])}")


def _called(element: ElementTree.Element, number: int) -> str:
    """libvirt's name of a device where it has one.

    A controller is its kind and number: that of no USB has lost its name after a restart of libvirtd.
    """
    if element.tag == "controller":
        return f"[{element.get('type')}{element.get('index', '')}]"
    alias = element.find("alias")
    if alias is not None and (name := alias.get("name")):
        return f"[{name}]"
    return f"[{number}]" if number > 1 else ""


def _without_names(path: str) -> str:
    return "/".join(part.partition("[")[0] for part in path.split("/"))
