"""What is on a fake host as JSON, so that a test can begin with what another version has put there."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from wgnode.firewall.rules import Chain, Rule

KEPT = (
    *("files", "directories", "users", "packages", "sysctls", "features", "links", "routes", "recorded", "routing"),
    *("closed", "table", "rulesets", "states", "detached", "node", "machine"),
)
"""Attributes of a FakedHost; all else is of one run."""
_RULES = {kind.__name__: kind for kind in (Chain, Rule)}


def written(content: Mapping[str, Any]) -> dict[str, Any]:
    """Of its attributes, the rulesets that it understands among them."""
    return {name: _written(content[name]) for name in KEPT if name in content}


def read(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _read(value) for name, value in raw.items()}


def _written(value: Any) -> Any:
    """What JSON has no form for is a mapping with one name that begins with "!"."""
    if isinstance(value, bytes):
        return _bytes(value)
    if isinstance(value, set | frozenset):
        return {"!set": sorted(value)}
    if type(value).__name__ in _RULES:
        named = {field.name: _written(getattr(value, field.name)) for field in fields(value)}
        return {f"!{type(value).__name__}": named}
    if isinstance(value, tuple):
        return {"!tuple": [_written(one) for one in value]}
    if isinstance(value, Mapping):
        return {name: _written(one) for name, one in value.items()}
    return [_written(one) for one in value] if isinstance(value, list) else value


def _bytes(value: bytes) -> dict[str, str]:
    try:
        return {"!text": value.decode()}
    except UnicodeDecodeError:
        return {"!zip": base64.b64encode(zlib.compress(value, 9)).decode()}


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [_read(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    tag, inner = next(iter(value.items()), ("", None))
    if tag == "!text":
        return inner.encode()
    if tag == "!zip":
        return zlib.decompress(base64.b64decode(inner))
    if tag in ("!set", "!tuple"):
        return {"!set": set, "!tuple": tuple}[tag](map(_read, inner))
    if tag.removeprefix("!") in _RULES and tag.startswith("!"):
        return _RULES[tag[1:]](**{name: _read(one) for name, one in inner.items()})
    return {name: _read(one) for name, one in value.items()}
