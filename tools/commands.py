"""What `wgnode` and its subcommands say of themselves, as data: for the reference's pages and the manual's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import click

from wgnode.cli import main

PROGRAM = "wgnode"
_NO_WRAP = "\b"
"""Click's mark, on a line of its own, of a block whose lines stay as they are."""


@dataclass(frozen=True)
class Block:
    """A paragraph, to be wrapped, or lines that stay as they are."""

    text: str
    literal: bool


@dataclass(frozen=True)
class Command:
    """A command, or a group of them. `rows` are options as spelt, with what each does; `parts` the subcommands."""

    words: tuple[str, ...]
    usage: str
    summary: str
    about: tuple[Block, ...]
    rows: tuple[tuple[str, str], ...]
    notes: tuple[Block, ...]
    parts: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """As it is typed."""
        return " ".join(self.words)


def commands() -> list[Command]:
    """The program itself, and each of its commands, a group before what is in it. Hidden ones are left out."""
    return list(_walk(main, click.Context(main, info_name=PROGRAM, **main.context_settings)))


def blocks(text: str | None) -> tuple[Block, ...]:
    """A help text's paragraphs, as click understands them."""
    lines = (text or "").split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    plain = "\n".join([lines[0], *(line[margin:] for line in lines[1:])]).strip("\n")
    return tuple(_block(part) for part in re.split(r"\n\s*\n", plain) if part.strip())


def _block(text: str) -> Block:
    if text.startswith(_NO_WRAP):
        return Block(text.removeprefix(_NO_WRAP).strip("\n"), True)
    return Block(" ".join(text.split()), False)


def _walk(command: click.Command, context: click.Context) -> Iterator[Command]:
    within = _within(command, context)
    yield _said(command, context, [(str(inner.info_name), part) for part, inner in within])
    for part, inner in within:
        yield from _walk(part, inner)


def _within(command: click.Command, context: click.Context) -> list[tuple[click.Command, click.Context]]:
    if not isinstance(command, click.Group):
        return []
    found = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
    parts = [(name, part) for name, part in found if part and not part.hidden]
    return [(part, click.Context(part, info_name=name, parent=context)) for name, part in parts]


def _said(command: click.Command, context: click.Context, parts: list[tuple[str, click.Command]]) -> Command:
    records = (one.get_help_record(context) for one in command.get_params(context) if isinstance(one, click.Option))
    words = context.command_path.split()
    return Command(
        words=tuple(words),
        usage=" ".join([*words, *command.collect_usage_pieces(context)]),
        summary=command.get_short_help_str(limit=300),
        about=blocks(command.help),
        rows=tuple(record for record in records if record),
        notes=blocks(command.epilog),
        parts=tuple((name, part.get_short_help_str(limit=300)) for name, part in parts),
    )
