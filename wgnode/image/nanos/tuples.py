"""Nanos' manifests: nested tuples as src/runtime/tuple_parser.c reads them. Pure.

`(name:value name:(...) name:[value value])`. Words end at white space and brackets, names at a colon too; what has any
of these, or a `#`, which begins a comment, is quoted. There is no escape, so nothing with a quotation mark can be said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Value = str | Sequence["Value"] | Mapping[str, "Value"]
_NAME = re.compile(r"[A-Za-z0-9_.+%-]+")
_WORD = re.compile(r"[A-Za-z0-9_.+%/,=@:-]+")
_NEVER = re.compile(r'["\n\0]')


def render(value: Value, indent: int = 0) -> str:
    """The same text for the same value. Raises ValueError for what no manifest can say."""
    if isinstance(value, str):
        return _quoted(value, _WORD)
    pad = " " * (indent + 1)
    if isinstance(value, Mapping):
        if not value:
            return "()"
        parts = [f"{_quoted(name, _NAME)}:{render(each, indent + 1)}" for name, each in value.items()]
        return "(" + f"\n{pad}".join(parts) + ")"
    return "[" + " ".join(render(each, indent + 1) for each in value) + "]"


def _quoted(text: str, plain: re.Pattern[str]) -> str:
    if _NEVER.search(text):
        raise ValueError(f"{text!r}: Nanos' manifests have no escape for a quotation mark or a new line")
    return text if plain.fullmatch(text) else f'"{text}"'
