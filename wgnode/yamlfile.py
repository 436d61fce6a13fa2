"""YAML as people write it: read as the engine reads it, values that other programs read otherwise found, comments kept.

The engine reads YAML 1.2 with what is left of 1.1 in it (`0123` is 83); other tools read 1.1 (`no` is false). A value
that not all of them take for the same is refused where it is read and quoted where it is written.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wgnode import plainyaml

_BOOLEAN = re.compile(r"(?i:y|yes|n|no|on|off)")
_OCTAL = re.compile(r"[-+]?0o?[0-9_]*[0-9][0-9_]*")
_NUMBER = re.compile(
    r"[-+]?(0[xX][0-9a-fA-F_]+|0[bB][01_]+|[0-9][0-9]*_[0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+)"
)
_SIXTIES = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")  # 1.1 reads 1:30 as 90, the engine doesn't
_BEGINNING = re.compile(r"\A\ufeff?((?:[ \t]*(?:#[^\n]*)?\r?\n)*)(?:---[ \t]*\r?(?=\n))?")
_PLAIN = re.compile(r"[A-Za-z0-9./_]([A-Za-z0-9 ./_:@+=-]*[A-Za-z0-9./_@+=-])?")


class YamlError(ValueError):
    """Not YAML; the text says where and why."""


def parse(text: str) -> Any:
    """The one document's plain values; None for an empty one. Raises YamlError."""
    with suppress(plainyaml.Unread):
        return plainyaml.read(text)
    with _errors():
        return YAML(typ="safe", pure=True).load(text)


def judged(text: str) -> tuple[Any, list[tuple[str, str]]]:
    """What `parse` and `ambiguous` give, the text read once: of a thousand files that counts. Raises YamlError."""
    with suppress(plainyaml.Unread):
        return plainyaml.read(text), []
    reader = YAML(typ="safe", pure=True)
    with _errors():
        node: Node | None = reader.compose(text)
        return None if node is None else reader.constructor.construct_document(node), list(_ambiguous_in(node, ""))


def compose(text: str) -> Node | None:
    """The one document's nodes, with their places in the text. Raises YamlError."""
    with _errors():
        node: Node | None = YAML(typ="rt", pure=True).compose(text)
        return node


def ambiguous(text: str) -> Iterator[tuple[str, str]]:
    """(path, what is wrong and what to write instead), of each unquoted value and name that is not read alike by all.

    The path is as in `.sites.no.lans[0]`. Raises YamlError.
    """
    try:
        plainyaml.read(text)
    except plainyaml.Unread:
        yield from _ambiguous_in(compose(text), "")


def scalar(value: str) -> str:
    """A text as it stands in YAML on one line, quoted where somebody could take it for something else."""
    if plainyaml.is_text(value):
        return value
    plain = _PLAIN.fullmatch(value) and " #" not in value and ": " not in value
    if plain and _ambiguity(value) is None and not _SIXTIES.fullmatch(value) and parse(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


def block(value: Any) -> str:
    """Mappings and lists in block style, one value a line, with such quotes."""
    return "".join(f"{line}\n" for line in _block(value))


def within(text: str, indent: str) -> str:
    """A document's lines as they stand in another one: further in, and without its byte order mark and beginning."""
    lines = _BEGINNING.sub(r"\1", text).splitlines(keepends=True)
    return "".join(f"{indent}{line}" if line.strip() else line for line in lines)


def write(path: Path, text: str) -> None:
    """All of it or nothing, with the file's mode, and through a link. Raises OSError."""
    path = path.resolve()
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", dir=path.parent, delete=False) as new:
        try:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
            os.chmod(new.name, path.stat().st_mode & 0o7777 if path.exists() else 0o644)
            os.replace(new.name, path)
        except BaseException:
            os.unlink(new.name)
            raise


def read(path: Path) -> str:
    """With the line ends that it has. Raises OSError, YamlError."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise YamlError(f"not UTF-8 at byte {error.start}") from None


def _ambiguity(text: str) -> str | None:
    if _BOOLEAN.fullmatch(text):
        return f"some read {text} as true or false, others as a word: write true or false, or quote the word"
    if len(text) > 1 and _OCTAL.fullmatch(text):
        return f"{text} is read as an octal number: write it without the 0 in front, or quote it if it is a text"
    if _NUMBER.fullmatch(text):
        return f"{text} is read as a number: write it in plain digits, or quote it if it is a text"
    return None


def _ambiguous_in(node: Node | None, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, ScalarNode):
        if node.style is None and (what := _ambiguity(node.value)):
            yield path, what
    elif isinstance(node, SequenceNode):
        for number, item in enumerate(node.value):
            yield from _ambiguous_in(item, f"{path}[{number}]")
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            inner = f"{path}.{key.value if isinstance(key, ScalarNode) else '?'}"
            yield from _ambiguous_in(key, inner)
            yield from _ambiguous_in(value, inner)


def _block(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            first, *more = _block(inner)
            if isinstance(inner, (dict, list)) and inner:
                yield f"{scalar(str(name))}:"
                yield from (f"  {line}" for line in (first, *more))
            else:
                yield f"{scalar(str(name))}: {first}"
    elif isinstance(value, list) and value:
        for inner in value:
            yield from (f"{'  ' if number else '- '}{line}" for number, line in enumerate(_block(inner)))
    elif isinstance(value, date):  # a time is one too
        yield value.isoformat().replace("+00:00", "Z")
    else:
        yield scalar(value) if isinstance(value, str) else json.dumps(value)


@contextmanager
def _errors() -> Generator[None, None, None]:
    """Whatever its reader raises as a YamlError."""
    try:
        yield
    except YAMLError as error:
        raise YamlError(_reason(error)) from None
    except RecursionError:
        raise YamlError("not valid YAML: it is nested too deeply") from None
    except ValueError as error:  # such as a date that is none
        raise YamlError(f"not valid YAML: {error}") from None


def _reason(error: YAMLError) -> str:
    return "not valid YAML: " + " ".join(str(error).split())
