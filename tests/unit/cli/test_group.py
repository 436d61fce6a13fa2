"""The `wgnode` group: commands of its own and of the operator's side, which it finds without knowing them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from wgnode.cli import COMMANDS, ENTRY_POINTS, main

PROGRAM = (
    "import sys; from wgnode.cli import main; main({arguments}, standalone_mode=False); print(*sorted(sys.modules))"
)


def modules_after(*arguments: str) -> set[str]:
    """What a process has imported once it has run `wgnode ARGUMENTS`."""
    program = PROGRAM.format(arguments=list(arguments))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.splitlines()[-1].split())


def test_all_commands_are_listed_with_what_they_do() -> None:
    shown = " ".join(CliRunner().invoke(main, ["--help"]).output.split())
    assert "device Run a WireGuard node on the TUN interface NAME, made if it does not exist." in shown
    assert "mesh Recover a mesh whose state is lost." in shown
    assert "status Show what each site's gateway runs, its peers, and what is wrong." in shown


def test_they_are_grouped_by_what_people_do() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    order = [shown.index(f"\n{title}:\n") for title in COMMANDS]
    assert order == sorted(order)
    within = ("Look after one:", "  status", "Run a node:", "  device")
    assert [shown.index(word) for word in within] == sorted(shown.index(word) for word in within)


def test_every_command_of_ours_has_a_group_and_says_there_what_it_says_itself() -> None:
    listed = {name: text for section in COMMANDS.values() for name, text in section.items()}
    for point in entry_points(group=ENTRY_POINTS):
        if point.dist and point.dist.name == "wgnode":
            assert listed.pop(point.name) == point.load().get_short_help_str(limit=300), point.name
    assert listed == {}


@pytest.mark.parametrize("arguments", [["status", "--help"], ["mesh", "recover", "--help"]])
def test_commands_from_elsewhere_have_help_with_examples_and_exit_codes(arguments: list[str]) -> None:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0
    assert "Examples:" in done.output
    assert "Exit codes: 0 " in done.output


def test_an_unknown_command_is_wrong_usage() -> None:
    done = CliRunner().invoke(main, ["sideways"])
    assert done.exit_code == 2
    assert "No such command 'sideways'" in done.output


def test_a_command_of_its_own_imports_nothing_of_the_operators_side() -> None:
    assert not [
        name for name in modules_after("key", "recipient") if name.split(".")[0] in ("pulumi_wgnode", "infra", "pulumi")
    ]


def test_listing_the_commands_imports_neither_ssh_nor_the_engines_sdk() -> None:
    loaded = modules_after("--help")
    assert "wgnode.cli" in loaded
    assert not {name.split(".")[0] for name in loaded} & {"paramiko", "pulumi", "cryptography", "pydantic"}


def test_the_shell_completes_commands_from_elsewhere_and_the_stacks_there_are(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: wgmesh\n")
    (tmp_path / "Pulumi.dev-berlin.yaml").write_text("config: {'wgmesh:role': site}\n")
    assert completions(tmp_path, "wgnode st") == ["status"]
    assert completions(tmp_path, "wgnode status --stack ") == ["dev-berlin"]
    assert completions(tmp_path, "wgnode mesh recover --environment d") == ["dev"]


def completions(folder: Path, line: str) -> list[str]:
    words = line.split(" ")
    own = {"_WGNODE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    program = "from wgnode.cli import main; main(prog_name='wgnode')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return [entry.split(",", 1)[1] for entry in done.stdout.splitlines()]


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), name)
            assert found is not None
            yield from leaves(found, (*path, name))
    else:
        yield path


def test_every_command_s_help_has_examples() -> None:
    ours = {name for section in COMMANDS.values() for name in section}
    all_of_them = [path for path in leaves(main) if path[0] in ours]
    assert ("user", "add") in all_of_them
    without = [path for path in all_of_them if "Example" not in CliRunner().invoke(main, [*path, "--help"]).output]
    assert without == []
