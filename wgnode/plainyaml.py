"""The YAML that nearly everybody writes, read fast: plain names and values in blocks, flow lists and mappings in lines.

ruamel.yaml takes some 13 s of a processor for 10,000 users. What is read here is what it reads, value and type (the
tests hold both together), and nothing of it is ambiguous (yamlfile.py); of anything else this says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

_WORD = r"[A-Za-z](?:[A-Za-z0-9._/+=@:-]*[A-Za-z0-9_/+=-])?"
_MORE = r"[A-Za-z0-9/+](?:[A-Za-z0-9._/+=@:-]*[A-Za-z0-9_/+=-])?"
_ADDRESS = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:/[0-9]{1,2}|-[0-9]{1,3}(?:\.[0-9]{1,3}){3})?"
_ADDRESS6 = r"[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*(?:/[0-9]{1,3})?|/[0-9]{1,3})"
_KEY = r"[0-9A-Za-z+/]{43}="  # of 32 bytes
_DIGEST = r"(?=[0-9e]*[a-df])[0-9a-f]{64}"  # with a letter that no number has
_TEXT = re.compile(rf"{_DIGEST}|{_WORD}|{_ADDRESS}|{_ADDRESS6}|{_KEY}")
_WORDS = re.compile(rf"{_WORD}(?: {_MORE})+")
_QUOTED = re.compile(r'"([A-Za-z0-9 ._/+=@:,-]*)"')
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RESERVED = re.compile(r"(?i:true|false|null|y|yes|n|no|on|off)")
_LINE = re.compile(
    r"(?P<indent> *)(?P<item>- )?(?:(?P<key>[^\s#:\"'{}\[\],&*!|>%@`-][^\s#{}\[\],]*):(?: +|$))?(?P<rest>.*)"
)
_COMMENT = re.compile(r" +#[ -~]*$")
_TOKEN = re.compile(r' *([\[\]{},]|"[^"\\]*"|[^\s\[\]{},#"\']+)')


class Unread(ValueError):
    """Not of this kind; ruamel.yaml knows."""


class _Line(NamedTuple):
    """`item` is that it begins an item of a list; `key` None where there is none, `rest` is what follows."""

    indent: int
    item: bool
    key: str | None
    rest: str


def read(text: str) -> Any:
    """The document's values. Raises Unread."""
    lines = list(_lines(text))
    try:
        value, at = _block(lines, 0, 0)
    except RecursionError:
        raise Unread from None
    if at != len(lines):
        raise Unread
    return value


def scalar(text: str) -> Any:
    """Of a plain or simply quoted value on a line. Raises Unread."""
    if is_text(text) or _WORDS.fullmatch(text):
        return text
    if text in ("true", "false"):
        return text == "true"
    if found := _QUOTED.fullmatch(text):
        return found[1]
    if _NUMBER.fullmatch(text):
        return int(text)
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise Unread from None
    raise Unread


def is_text(value: str) -> bool:
    """Whether it is read as itself, unquoted."""
    return bool(_TEXT.fullmatch(value)) and not _RESERVED.fullmatch(value)


def _lines(text: str) -> Iterator[_Line]:
    for line in text.split("\n"):
        if not (stripped := line.lstrip(" ")) or stripped[0] == "#":
            if not stripped.isascii() or not stripped.isprintable():
                raise Unread
            continue
        found = _LINE.fullmatch(_COMMENT.sub("", line) if "#" in line else line)
        if found is None or not line.isascii() or not line.isprintable():
            raise Unread
        yield _Line(len(found["indent"]), bool(found["item"]), found["key"], found["rest"].rstrip(" "))


def _block(lines: list[_Line], at: int, indent: int) -> tuple[Any, int]:
    """What stands at that indentation from there on, and the line behind it."""
    if at == len(lines) or lines[at].indent != indent:
        raise Unread
    return (_list if lines[at].item else _mapping)(lines, at, indent)


def _mapping(lines: list[_Line], at: int, indent: int) -> tuple[dict[str, Any], int]:
    made: dict[str, Any] = {}
    while at < len(lines) and lines[at].indent == indent and not lines[at].item:
        key, rest = lines[at].key, lines[at].rest
        if key is None or not isinstance(name := scalar(key), str) or name in made:
            raise Unread
        at += 1
        if rest:
            made[name] = _inline(rest)
        elif at < len(lines) and (lines[at].indent > indent or (lines[at].indent == indent and lines[at].item)):
            made[name], at = _block(lines, at, lines[at].indent)
        else:
            made[name] = None
    if at < len(lines) and (lines[at].indent > indent or (lines[at].indent == indent and not lines[at].item)):
        raise Unread
    return made, at


def _list(lines: list[_Line], at: int, indent: int) -> tuple[list[Any], int]:
    made: list[Any] = []
    while at < len(lines) and lines[at].indent == indent and lines[at].item:
        if lines[at].key is not None:
            raise Unread
        made.append(_inline(lines[at].rest))
        at += 1
    if at < len(lines) and lines[at].indent > indent:
        raise Unread
    return made, at


def _inline(text: str) -> Any:
    if text[:1] not in ("[", "{"):
        return scalar(text)
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != re.sub(r"(?<=[\[\]{},:]) +| +(?=[\[\]{},])", "", text):
        raise Unread
    value, at = _flow(tokens, 0)
    if at != len(tokens):
        raise Unread
    return value


def _flow(tokens: list[str], at: int) -> tuple[Any, int]:
    opening, closing = tokens[at], "]" if tokens[at] == "[" else "}"
    items: list[Any] = []
    pairs: dict[str, Any] = {}
    at += 1
    while at < len(tokens) and tokens[at] != closing:
        name = None
        if opening == "{":
            if not tokens[at].endswith(":") or not isinstance(name := scalar(tokens[at][:-1]), str) or name in pairs:
                raise Unread
            at += 1
        value, at = _flow_value(tokens, at)
        if name is None:
            items.append(value)
        else:
            pairs[name] = value
        if at < len(tokens) and tokens[at] == ",":
            at += 1
        elif at == len(tokens) or tokens[at] != closing:
            raise Unread
    if at == len(tokens):
        raise Unread
    return (items if opening == "[" else pairs), at + 1


def _flow_value(tokens: list[str], at: int) -> tuple[Any, int]:
    if at == len(tokens) or tokens[at] in ("]", "}", ","):
        raise Unread
    return _flow(tokens, at) if tokens[at] in ("[", "{") else (scalar(tokens[at]), at + 1)
