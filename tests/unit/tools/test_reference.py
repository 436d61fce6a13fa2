"""What is written out of the code is as the code says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools import ROOT, generated, manual, reference
from tools.commands import Block, blocks, commands


@pytest.mark.parametrize("folder", generated.folders(), ids=lambda folder: folder.name)
def test_every_page_is_current(folder: Path) -> None:
    assert generated.stale(folder, generated.folders()[folder]) == [], "write them anew: make docs"


def test_a_page_that_is_missing_changed_or_too_many_is_stale_until_it_is_written_anew(tmp_path: Path) -> None:
    pages = reference.pages()
    generated.write(tmp_path, pages)
    assert generated.stale(tmp_path, pages) == []
    (tmp_path / "Gateway.md").unlink()
    (tmp_path / "commands" / "status.md").write_text("# Changed\n")
    (tmp_path / "Former.md").write_text("# Former\n")
    assert generated.stale(tmp_path, pages) == ["Former.md", "Gateway.md", "commands/status.md"]
    generated.write(tmp_path, pages)
    assert generated.stale(tmp_path, pages) == []


def test_a_page_has_inputs_outputs_types_defaults_and_secrets() -> None:
    page = reference.pages()["HypervisorHost.md"]
    for said in (
        "| `connection` | [Connection](#connection) | how the host is reached by SSH (required) |",
        "| `listenPort` | integer | the UDP port that leads to the gateway (default `51820`) |",
        "| `facts` | [Facts](#facts) | what kind of machine it is |",
        "## Connection",
        "(secret) |",
    ):
        assert said in page


def test_every_command_has_a_section_and_a_manual_page_with_each_of_its_options() -> None:
    text, manuals = "\n".join(reference.pages().values()), manual.pages()
    names = [command.name for command in commands()]
    assert {"wgnode", "wgnode host scan", "wgnode status"} <= set(names)
    assert [f"{one.name} {part}" for one in commands() for part, _ in one.parts] == sorted(names[1:], key=_groups_first)
    for command in commands()[1:]:
        assert f"# {command.name}\n" in text
        page = manuals[f"man/man1/{command.name.replace(' ', '-')}.1"]
        for spelt, _ in command.rows:
            assert f".B {spelt}".replace("-", "\\-") in page


def _groups_first(name: str) -> tuple[int, str]:
    return name.count(" "), name


def test_help_is_paragraphs_and_blocks_whose_lines_stay() -> None:
    text = "One\n    two.\n\n    Three.\n\n    \b\n    Four:\n      five\n    "
    assert blocks(text) == (Block("One two.", False), Block("Three.", False), Block("Four:\n  five", True))


def test_what_a_manual_page_would_take_for_a_request_is_text() -> None:
    assert manual._escape(".so /etc/x") == "\\&.so /etc/x"
    assert manual._escape("'a-b\\c") == "\\&\\(aqa\\-b\\ec"


def test_groff_has_nothing_to_say_about_a_manual_page() -> None:
    pages = sorted((ROOT / "share" / "man" / "man1").glob("*.1"))
    done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-Kutf8", "-z", *pages], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
