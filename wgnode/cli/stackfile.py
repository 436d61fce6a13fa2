"""Stack files that are there, edited in place: whatever is not meant stays as it was written, comments and all.

The library tells where in the text a value stands; only that part is written anew, and the result is read once more:
what does not say exactly what was meant is not written.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wgnode.yamlfile import block, compose, parse, scalar

SITE = ("config", "wgmesh:site")
MESH = ("config", "wgmesh:mesh")
Path = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """A key and its value; `flow` when they stand in braces."""

    path: Path
    key: Node
    value: Node
    flow: bool

    @property
    def is_alias(self) -> bool:
        return bool(self.value.start_mark.index < self.key.end_mark.index)


def with_host_keys(text: str, pins: Sequence[str]) -> str:
    """The stack file with exactly these pins under `hostKeys:`; every other line stays as it is.

    A pin that stays keeps its line and its comments, one that goes takes them along. Raises ValueError where there is
    no `hostKeys:`, or where it is written so that it can't be changed alone.
    """
    return as_it_was(text, lambda text: _with_host_keys(text, pins))


def with_site(text: str, name: str, site: Mapping[str, Any]) -> str:
    """The mesh's stack file with one more entry under `sites:`, a value a line. Raises ValueError."""
    return as_it_was(text, lambda text: _with_site(text, name, site))


def _with_host_keys(text: str, pins: Sequence[str]) -> str:
    entry = _host_keys(text)
    if entry is None:
        host = find(text, (*SITE, "host"))
        if host is None or not isinstance(host.value, MappingNode) or host.value.flow_style or not host.value.value:
            raise ValueError("there is no `hostKeys:` line; add one under `host:`")
        first = host.value.value[0][0].start_mark
        listed = f"hostKeys:{_items(pins, first.column + 2)}\n{' ' * first.column}"
        changed = text[: first.index] + listed + text[first.index :]
        return _verified(text, changed, (*host.path, "hostKeys"), list(pins))
    if entry.is_alias:
        raise ValueError("`hostKeys:` is an alias (*) of a list somewhere else; write the list itself there")
    return _verified(text, _with_list(text, entry, pins), entry.path, list(pins))


def _with_site(text: str, name: str, site: Mapping[str, Any]) -> str:
    before = parse(text)
    mesh = find(text, MESH)
    if mesh is None or not isinstance(mesh.value, MappingNode) or mesh.value.flow_style or not mesh.value.value:
        raise ValueError("it has no `wgmesh:mesh:` with the mesh's settings")
    entry = find(text, (*MESH, "sites"))
    path = (*MESH, "sites")
    sites = before[MESH[0]][MESH[1]].get("sites") or {}
    if not isinstance(sites, dict):
        raise ValueError("its `sites:` is no mapping of sites by name")
    if name in sites:
        raise ValueError(f"it has a site {name!r} already")
    wanted = {**sites, name: dict(site)}
    if entry is None:
        column = mesh.value.value[0][0].start_mark.column
        changed = insert_behind(text, end_of(mesh.value), indented({"sites": wanted}, column))
    elif entry.is_alias:
        raise ValueError("its `sites:` is an alias (*) of something else; write the sites themselves there")
    elif isinstance(entry.value, MappingNode) and entry.value.value and not entry.value.flow_style:
        column = entry.value.value[0][0].start_mark.column
        changed = insert_behind(text, end_of(entry.value), indented({name: dict(site)}, column))
    else:
        changed = _as_block(text, entry, wanted)
    return _verified(text, changed, path, wanted)


def as_it_was(text: str, edit: Callable[[str], str]) -> str:
    """`edit` sees neither a byte order mark nor another system's line ends; the file keeps both."""
    mark, crlf = text.startswith("\ufeff"), "\r\n" in text
    edited = edit(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    return "\ufeff" * mark + (edited.replace("\n", "\r\n") if crlf else edited)


# Where things stand


def _host_keys(text: str) -> Entry | None:
    """Where the program looks for it; in a part of a stack file, the only one that there is."""
    if entry := find(text, (*SITE, "host", "hostKeys")):
        return entry
    others = [entry for entry in _entries(compose(text)) if entry.path[-1] == "hostKeys"]
    if len(others) > 1:
        raise ValueError("there are several `hostKeys:`, none of them under `wgmesh:site:` and `host:`")
    return others[0] if others else None


def find(text: str, path: Path) -> Entry | None:
    return next((entry for entry in _entries(compose(text)) if entry.path == path), None)


def _entries(node: Node | None, path: Path = ()) -> Iterator[Entry]:
    if not isinstance(node, MappingNode):
        return
    for key, value in node.value:
        if isinstance(key, ScalarNode):
            here = (*path, str(key.value))
            entry = Entry(here, key, value, bool(node.flow_style))
            yield entry
            if not entry.is_alias:
                yield from _entries(value, here)


def end_of(node: Node) -> int:
    """Where the text of a value ends, without the lines and comments behind it that a parser counts to it."""
    if isinstance(node, MappingNode) and not node.flow_style and node.value:
        key, value = node.value[-1]
        alias = value.start_mark.index < key.end_mark.index
        return max(end_of(key) + 1, 0 if alias else end_of(value))
    if isinstance(node, SequenceNode) and not node.flow_style and node.value:
        return end_of(node.value[-1])
    if isinstance(node, ScalarNode) and not node.value and node.style is None:
        return 0
    return int(node.end_mark.index)


def line_end(text: str, index: int) -> int:
    """Before the line's end."""
    if index and text[index - 1] == "\n":  # a block scalar ends behind it
        index -= 1
    end = text.find("\n", index)
    return len(text) if end < 0 else end


# Writing


def _with_list(text: str, entry: Entry, pins: Sequence[str]) -> str:
    colon = text.index(":", entry.key.end_mark.index) + 1
    if entry.flow:
        start = max(colon, entry.value.start_mark.index)
        inner = " [" if start == colon else "["
        return text[:start] + inner + ", ".join(map(_quoted, pins)) + "]" + text[max(start, end_of(entry.value)) :]
    end = line_end(text, max(colon, end_of(entry.value)))
    old = entry.value
    if isinstance(old, SequenceNode) and not old.flow_style and old.value and text[old.start_mark.index] == "-":
        behind = text[colon : line_end(text, colon)]
        listed = _merged(text, old, pins, line_end(text, colon))
    else:
        behind = text[max(colon, end_of(old)) : end]
        listed = _items(pins, entry.key.start_mark.column + 2)
    comment = behind if behind.lstrip().startswith("#") else ""
    new = comment + listed if pins else listed + comment
    return text[:colon] + new + text[end:]


def _merged(text: str, old: SequenceNode, pins: Sequence[str], start: int) -> str:
    """The new list, in which a pin that was there already has the lines that it had."""
    kept: dict[str, str] = {}
    for item in old.value:
        end = line_end(text, end_of(item))
        lines = text[start:end]
        if isinstance(item, ScalarNode):
            kept.setdefault(item.value, lines)
        start = end
    fresh = f"\n{' ' * old.start_mark.column}- "
    return "".join(kept.get(pin, fresh + scalar(pin)) for pin in pins) or " []"


def _items(pins: Sequence[str], indent: int) -> str:
    return "".join(f"\n{' ' * indent}- {scalar(pin)}" for pin in pins) or " []"


def _as_block(text: str, entry: Entry, wanted: Mapping[str, Any]) -> str:
    """What was on one line, or not there, with a value a line."""
    colon = text.index(":", entry.key.end_mark.index) + 1
    end = max(colon, end_of(entry.value))
    if entry.flow or "#" in text[colon:end]:
        raise ValueError("its `sites:` is in braces with comments, or within others; write a site a line there first")
    behind = text[end : line_end(text, end)]
    inner = "\n" + indented(wanted, entry.key.start_mark.column + 2).rstrip("\n")
    return text[:colon] + (behind if behind.lstrip().startswith("#") else "") + inner + text[end + len(behind) :]


def insert_behind(text: str, index: int, lines: str) -> str:
    """Behind the line of `index`."""
    end = line_end(text, index)
    if end == len(text):
        return text + "\n" + lines
    return text[: end + 1] + lines + text[end + 1 :]


def indented(value: Mapping[str, Any], column: int) -> str:
    return re.sub(r"^(?=.)", " " * column, block(dict(value)), flags=re.MULTILINE)


def _quoted(pin: str) -> str:
    return f'"{pin}"'


def _verified(before: str, after: str, path: Path, value: Any) -> str:
    """`after`, if it says what `before` said but for the value at `path`. Raises ValueError."""
    expected = copy.deepcopy(parse(before))
    inner = expected
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    try:
        same = parse(after) == expected
    except ValueError:
        same = False
    if not same:
        raise ValueError(f"`{path[-1]}:` is written so that it can't be changed alone; change it by hand")
    return after
