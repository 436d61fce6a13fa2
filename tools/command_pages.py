"""docs/reference/commands/: a page for each command of `wgnode`, its subcommands on the same page, as Markdown."""

from __future__ import annotations

from itertools import groupby

from tools.commands import Block, Command, commands

FOLDER = "commands"


def pages() -> dict[str, str]:
    """By file name under docs/reference/, each page's text."""
    program, *others = commands()
    made = {f"{FOLDER}/README.md": _index(program)}
    for name, of in groupby(others, key=lambda command: command.words[1]):
        made[f"{FOLDER}/{name}.md"] = "\n".join(line for command in of for line in _section(command))
    return made


def _index(program: Command) -> str:
    rows = [f"| [{name}]({name}.md) | {_cell(text)} |" for name, text in program.parts]
    lines = ["# The command `wgnode`", "", "Written by `make docs` out of the commands themselves; do not edit.", ""]
    return "\n".join([*lines, "| command | |", "|---|---|", *rows, ""])


def _section(command: Command) -> list[str]:
    lines = [f"{'#' * (len(command.words) - 1)} {command.name}", "", "```text", command.usage, "```", ""]
    lines += [line for block in command.about for line in _block(block)]
    if command.rows:
        lines += [
            "| option | |",
            "|---|---|",
            *(f"| `{_bar(spelt)}` | {_cell(text)} |" for spelt, text in command.rows),
            "",
        ]
    return lines + [line for block in command.notes for line in _block(block)]


def _block(block: Block) -> list[str]:
    return ["```text", block.text, "```", ""] if block.literal else [_plain(block.text), ""]


def _cell(text: str) -> str:
    return _plain(_bar(text))


def _bar(text: str) -> str:
    return text.replace("|", "\\|")


def _plain(text: str) -> str:
    """Text that Markdown would take for marks of its own: click's [default: …] is no link, <3 no tag."""
    return text.replace("[", "\\[").replace("<", "\\<")
