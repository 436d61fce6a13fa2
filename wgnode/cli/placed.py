"""One value of a stack file put in, changed or taken out where it stands: every other line stays as it is.

As everywhere (stackfile.py), the result is read once more, and what does not say exactly what was meant is not written.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from ruamel.yaml.nodes import MappingNode, ScalarNode

from wgnode.cli.stackfile import Entry, Path, as_it_was, end_of, find, indented, insert_behind, line_end
from wgnode.yamlfile import block, parse


def put(text: str, path: Path, value: Any) -> str:
    """The file with this value there, made with all that it stands in where it is not there yet. Raises ValueError."""
    if find(text, path) and repr(value_at(parse(text), path)) == repr(value):  # to Python 1 is True
        return text
    return as_it_was(text, lambda text: _verified(text, _put(text, path, value), lambda raw: _set(raw, path, value)))


def take(text: str, path: Path) -> str:
    """The file without what is there. Raises ValueError."""
    if find(text, path) is None:
        return text
    return as_it_was(text, lambda text: _verified(text, _take(text, path), lambda raw: _unset(raw, path)))


def value_at(raw: Any, path: Path) -> Any:
    """None where nothing is."""
    for step in path:
        raw = raw.get(step) if isinstance(raw, Mapping) else None
    return raw


def _put(text: str, path: Path, value: Any) -> str:
    entry = find(text, path)
    if entry is None:
        return _add(text, path, value)
    if entry.is_alias:
        raise ValueError(f"`{path[-1]}:` is an alias (*) of something else; change it by hand")
    if entry.flow:
        return _put(text, path[:-1], {**value_at(parse(text), path[:-1]), path[-1]: value})
    return _replaced(text, entry, value)


def _add(text: str, path: Path, value: Any) -> str:
    parent = find(text, path[:-1])
    if parent is None:
        if len(path) < 2:
            raise ValueError(f"it has no `{path[0]}:`")
        return _add(text, path[:-1], {path[-1]: value})
    if isinstance(parent.value, MappingNode) and parent.value.value and not parent.value.flow_style:
        column = parent.value.value[0][0].start_mark.column
        return insert_behind(text, end_of(parent.value), indented({path[-1]: value}, column))
    if not isinstance(there := value_at(parse(text), path[:-1]) or {}, dict):
        raise ValueError(f"`{path[-2]}:` holds something else; change it by hand")
    return _put(text, path[:-1], {**there, path[-1]: value})


def _replaced(text: str, entry: Entry, value: Any) -> str:
    """A comment behind the key, or behind a value on its line, stays there."""
    colon = text.index(":", entry.key.end_mark.index) + 1
    end = max(colon, end_of(entry.value))
    first, last = text[colon : line_end(text, colon)], text[end : line_end(text, end)]
    comment = next((one for one in (first, last) if one.lstrip().startswith("#")), "")
    if "#" in text[colon:end].removeprefix(comment) and not isinstance(entry.value, ScalarNode):
        raise ValueError(f"`{entry.path[-1]}:` has comments within; change it by hand")
    rest = text[end + len(last) :]
    if not value or not isinstance(value, (dict, list)):
        return f"{text[:colon]} {block(value).rstrip()}{comment}{rest}"
    indent = " " * (entry.key.start_mark.column + 2)
    return text[:colon] + comment + "".join(f"\n{indent}{line}" for line in block(value).splitlines()) + rest


def _take(text: str, path: Path) -> str:
    entry = find(text, path)
    assert entry is not None, "whoever calls this has seen it"
    rest = {name: value for name, value in value_at(parse(text), path[:-1]).items() if name != path[-1]}
    if entry.flow or not rest:
        return _put(text, path[:-1], rest)
    start = text.rfind("\n", 0, entry.key.start_mark.index) + 1
    end = line_end(text, max(entry.key.end_mark.index + 1, 0 if entry.is_alias else end_of(entry.value)))
    return text[:start] + text[end + 1 :]


def _set(raw: Any, path: Path, value: Any) -> None:
    for step in path[:-1]:
        if not isinstance(raw.get(step), dict):
            raw[step] = {}
        raw = raw[step]
    raw[path[-1]] = value


def _unset(raw: Any, path: Path) -> None:
    for step in path[:-1]:
        raw = raw[step]
    del raw[path[-1]]


def _verified(before: str, after: str, change: Callable[[Any], None]) -> str:
    expected = copy.deepcopy(parse(before))
    change(expected)
    try:
        same = parse(after) == expected
    except (ValueError, RecursionError):  # it may have itself within
        same = False
    if not same:
        raise ValueError("it is written so that this can't be changed alone; change it by hand")
    return after
