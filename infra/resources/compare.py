"""What differs, by path, for `diff`: between what is wanted and what was found, and between old and new inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from infra.provider.codec import has_unknown
from infra.provider.kind import Properties, PropertyChange


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
        elif isinstance(wanted[name], Mapping) and isinstance(found[name], Mapping):
            changes += drift(wanted[name], found[name], here)
        elif wanted[name] != found[name]:
            changes.append(PropertyChange(here, drift=True))
    return changes


def changed_inputs(
    old: Properties, new: Properties, names: Iterable[str], *, replace: tuple[str, ...] = ()
) -> list[PropertyChange]:
    """Which of the inputs `names` changed; what changed at a path in `replace` needs a new resource."""
    changes = [PropertyChange(path, replace=True) for path in replace if _differ(at(old, path), at(new, path))]
    replaced = {change.path.split(".")[0] for change in changes}
    for name in names:
        if name not in replaced and _differ(old.get(name), new.get(name)):
            changes.append(PropertyChange(name, kind=_kind(name in old, name in new)))
    return changes


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
