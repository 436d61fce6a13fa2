"""What differs, by path, for `diff`: between what is wanted and what was found, and between old and new inputs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pulumi_wgnode.call.kind import Properties, PropertyChange, has_unknown


def drift(wanted: Mapping[str, Any], found: Mapping[str, Any], path: str = "") -> list[PropertyChange]:
    """Every leaf of the wanted outputs that was found otherwise, and every found one that is not wanted.

    Only below the names that `wanted` has at the top, so that mere facts in the state do not count.
    """
    changes: list[PropertyChange] = []
    names = list(wanted) + [name for name in found if path and name not in wanted]
    for name in names:
        here = join(path, name)
        if name not in found:
            changes.append(PropertyChange(here, kind="ADD", drift=True))
        elif name not in wanted:
            changes.append(PropertyChange(here, kind="DELETE", drift=True))
        elif wanted[name] == found[name]:
            continue
        elif isinstance(wanted[name], Mapping) and isinstance(found[name], Mapping):
            changes += drift(wanted[name], found[name], here)
        else:
            changes += changed(found[name], wanted[name], here, drift=True)
    return changes


def changed_inputs(
    old: Properties, new: Properties, names: Iterable[str], *, replace: tuple[str, ...] = ()
) -> list[PropertyChange]:
    """Which of the inputs `names` changed, by path and element; what changed in `replace` needs a new resource."""
    changes = [PropertyChange(path, replace=True) for path in replace if _differ(at(old, path), at(new, path))]
    replaced = {change.path for change in changes}
    for name in names:
        given, wanted = old.get(name, _ABSENT), new.get(name, _ABSENT)
        changes += [change for change in changed(given, wanted, name) if change.path not in replaced]
    return changes


def changed(old: Any, new: Any, path: str, *, drift: bool = False) -> list[PropertyChange]:
    """The leaves that differ; of a list without an order, such as one of networks, the elements."""
    if not _differ(old, new):
        return []
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        # Beside something unknown, defaults are not filled in yet: what is not said there may well stay.
        kept = (name for name in old if name in new or not has_unknown(new))
        names = [*kept, *(name for name in new if name not in old)]
        pairs = [(join(path, name), old.get(name, _ABSENT), new.get(name, _ABSENT)) for name in names]
        return [change for here, one, other in pairs for change in changed(one, other, here, drift=drift)]
    if isinstance(old, list) and isinstance(new, list) and not has_unknown(new):
        return _elements(old, new, path, drift)
    return [PropertyChange(path, kind=_kind(old is not _ABSENT, new is not _ABSENT), drift=drift)]


def _elements(old: list[Any], new: list[Any], path: str, drift: bool) -> list[PropertyChange]:
    """What went by its old place and what came by its new one: at one place, that is a change of the element."""
    were, are = ([_text(element) for element in elements] for elements in (old, new))
    gone, come = _places(were, set(are)), _places(are, set(were))
    changes: list[PropertyChange] = []
    for place in sorted(gone | come):
        before = old[place] if place in gone else _ABSENT
        after = new[place] if place in come else _ABSENT
        changes += changed(before, after, f"{path}[{place}]", drift=drift)
    return changes


def _text(element: Any) -> str:
    """To look it up by: there may be thousands."""
    return json.dumps(element, sort_keys=True)


def _places(elements: list[str], others: set[str]) -> set[int]:
    """Of those that the others lack."""
    return {place for place, element in enumerate(elements) if element not in others}


_ABSENT: Any = object()


def _kind(was: bool, is_now: bool) -> Literal["ADD", "DELETE", "UPDATE"]:
    if was and is_now:
        return "UPDATE"
    return "DELETE" if was else "ADD"


def join(path: str, name: str) -> str:
    """A property path as the engine parses it: a name with dots or other signs goes into brackets."""
    if not name.replace("_", "").isalnum():
        return f'{path}["{name}"]'
    return f"{path}.{name}" if path else name


def at(properties: Any, path: str) -> Any:
    for step in path.split("."):
        properties = properties.get(step) if isinstance(properties, Mapping) else None
    return properties


def _differ(old: Any, new: Any) -> bool:
    return has_unknown(new) or bool(old != new)
