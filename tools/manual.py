"""share/man/: a page of section 1 for each command of `wgnode`, as man(7) has them (`man wgnode-host-scan`).

Wheels put them where `man` looks beside a program on PATH.
"""

from __future__ import annotations

from tools.commands import PROGRAM, Block, Command, commands

FOLDER = "man/man1"


def pages() -> dict[str, str]:
    """By file name under share/, each page's text."""
    return {f"{FOLDER}/{_page(command)}.1": _text(command) for command in commands()}


def _page(command: Command) -> str:
    return "-".join(command.words)


def _text(command: Command) -> str:
    lines = [
        f'.TH "{_page(command).upper()}" 1 "" "{PROGRAM}" "{PROGRAM}"',
        ".SH NAME",
        f"{_escape(_page(command))} \\- {_escape(command.summary.rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {_escape(command.usage)}",
        ".SH DESCRIPTION",
        *_blocks(command.about),
    ]
    for title, rows in (("OPTIONS", command.rows), ("COMMANDS", command.parts)):
        if rows:
            lines += [f".SH {title}", *(line for row in rows for line in _row(*row))]
    if command.notes:
        lines += [".SH NOTES", *_blocks(command.notes)]
    return "\n".join([*lines, *_see_also(command), ""])


def _see_also(command: Command) -> list[str]:
    above = ["-".join(command.words[:-1])] if len(command.words) > 1 else []
    others = [*above, *(f"{_page(command)}-{name}" for name, _ in command.parts)]
    return [".SH SEE ALSO", ",\n".join(f".BR {_escape(name)} (1)" for name in others)] if others else []


def _row(term: str, text: str) -> list[str]:
    return [".TP", f".B {_escape(term)}", _escape(text) or "\\&"]


def _blocks(blocks: tuple[Block, ...]) -> list[str]:
    lines: list[str] = []
    for block in blocks:
        body = [_escape(line) for line in block.text.split("\n")]
        lines += [".PP", ".nf", *body, ".fi"] if block.literal else [".PP", *body]
    return lines


def _escape(text: str) -> str:
    """Text that man would take for requests, escapes or hyphens."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return f"\\&{plain}" if plain.startswith((".", "\\(aq")) else plain
