"""What is wrong with a value's shape, in the words of those who write stack files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LONGEST = 40
"""Characters of a value that are shown: a longer text in the wrong place may be a secret that was meant for another."""
_TYPES = {
    "string": "a text, in quotes where it looks like something else",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list (`[a, b]`, or a line with `- ` each)",
    "tuple": "a list (`[a, b]`, or a line with `- ` each)",
    "dict": "a mapping of names to values",
    "model": "a mapping of names to values",
}
_LIMITS = {
    "greater_than_equal": ("ge", "at least {}"),
    "greater_than": ("gt", "more than {}"),
    "less_than_equal": ("le", "at most {}"),
    "less_than": ("lt", "less than {}"),
}
_LENGTHS = {
    ("string_too_short", 1): "a text that is not empty",
    ("too_short", 1): "a list that is not empty",
}


def wanted(found: Mapping[str, Any]) -> str:
    """What a pydantic error's value should have been: "must be a whole number". `found` is one of `errors()`."""
    kind, context = found["type"], found.get("ctx", {})
    if kind in _LIMITS:
        name, text = _LIMITS[kind]
        return f"must be {text.format(context[name])}"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    if kind in ("string_too_short", "too_short"):
        least = context["min_length"]
        return f"must be {_LENGTHS.get((kind, least), f'of at least {least} characters or values')}"
    if kind in ("string_too_long", "too_long"):
        return f"must be of at most {context['max_length']} characters or values"
    if kind == "string_pattern_mismatch":
        return f"must look like {context['pattern']} (a regular expression)"
    for name, text in _TYPES.items():
        if kind.startswith(f"{name}_"):
            return f"must be {text}"
    return f"is not what is wanted here ({kind.replace('_', ' ')})"


def shown(given: Any) -> str:
    """A value in a message, where it may be shown at all."""
    if given is None:
        return "nothing"
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, (list, tuple)):
        return "a list"
    if isinstance(given, Mapping):
        return "a mapping"
    long = isinstance(given, str) and (len(given) > LONGEST or "\n" in given)
    return f"a text of {len(given)} characters" if long else repr(given)
