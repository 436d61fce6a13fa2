"""Parts of a resource that are as long as the mesh has sites, as one text each.

The engine copies, compares, encodes and logs each value of a structure at every step, and a peer is dozens of them; a
text is one value, however long. So `Site` hands these parts over as text, and where they are of many they stay that
way in all that the engine handles. What is given as a structure stays one. Nobody but the provider's outermost layer
(resources/texted.py) and who reads states sees texts. docs/decisions/many-sites.md has the figures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pulumi_wgnode.call.kind import Judged, Properties
from pulumi_wgnode.contracts.node import config_of, config_text, described, keys_described, keys_text

MANY = 64
"""Peers, or routes, up to which all is structures, in which the engine shows each change by itself."""


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True)
class Text:
    """How a part is written as text and read again; `read` raises ValueError for what is none."""

    write: Callable[[Any], str] = _json
    read: Callable[[str], Any] = json.loads


@dataclass(frozen=True)
class Texts:
    """Of one kind: the parts by path, and the input among them by whose text they are counted."""

    parts: Mapping[str, Text]
    input: str
    count: Callable[[str], int]


# As the node has them itself, which versions before structures recorded, so every version reads it.
_CONFIG = Text(config_text, described)
_KEYS = Text(keys_text, keys_described)
PLAIN = Text()


@lru_cache(maxsize=4)
def _peers(text: str) -> Any:
    found = json.loads(text)
    return Judged(found, None, text) if isinstance(found, dict) else found


_PEERS = Text(lambda given: given.text if isinstance(given, Judged) else _json(given), _peers)
KINDS: Mapping[str, Texts] = {
    "Gateway": Texts(
        {"config": _CONFIG, "secrets": _KEYS, "peers": _PEERS}, "config", lambda text: len(config_of(text).everybody)
    ),
    "HypervisorHost": Texts(
        dict.fromkeys(("networks.routes", "networks.whose", "networks.peers", "routes"), PLAIN),
        "networks.routes",
        lambda text: len(json.loads(text)),
    ),
}
"""By the kind's name."""


def read(kind: str, properties: Properties) -> Properties:
    """With structures for all that is text; what can't be read stays."""
    for path, text in _of(kind):
        found = _at(properties, path)
        if isinstance(found, str):
            try:
                properties = _with(properties, path, text.read(found))
            except ValueError:  # of another version: for whoever judges it
                continue
    return properties


def written(kind: str, properties: Properties, inputs: Properties) -> Properties:
    """With texts for all parts that there are, those of `inputs` where they say the same; what is not known yet
    stays."""
    same = read(kind, inputs)
    for path, text in _of(kind):
        found, given = _at(properties, path), _at(inputs, path)
        if isinstance(given, str) and found == _at(same, path):
            properties = _with(properties, path, given)
        elif isinstance(found, Mapping | list):
            with suppress(TypeError):  # of a placeholder in it
                properties = _with(properties, path, text.write(found))
    return properties


def stay(kind: str, inputs: Properties) -> bool:
    """Whether the parts of a resource with these inputs, as they were given, are to be texts."""
    if (texts := KINDS.get(kind)) is None or not isinstance(given := _at(inputs, texts.input), str):
        return False
    try:
        return texts.count(given) > MANY
    except (ValueError, TypeError):  # which the kind tells
        return False


def within(kind: str, path: str, properties: Properties) -> bool:
    """Whether a change at that path is inside of what is text there."""
    return any(
        path.startswith((f"{part}.", f"{part}[")) and isinstance(_at(properties, part), str) for part, _ in _of(kind)
    )


def _of(kind: str) -> Iterator[tuple[str, Text]]:
    return iter(KINDS[kind].parts.items() if kind in KINDS else ())


def _at(properties: Any, path: str) -> Any:
    for step in path.split("."):
        properties = properties.get(step) if isinstance(properties, Mapping) else None
    return properties


def _with(properties: Properties, path: str, value: Any) -> Properties:
    first, _, rest = path.partition(".")
    return {**properties, first: _with(properties[first], rest, value) if rest else value}
