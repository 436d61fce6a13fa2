"""docs/reference/ is what the contracts say."""

from __future__ import annotations

from pathlib import Path

from tools import reference


def test_every_page_is_current() -> None:
    assert reference.stale() == [], "write them anew: make docs"


def test_a_page_that_is_missing_changed_or_too_many_is_stale(tmp_path: Path) -> None:
    for name, text in reference.pages().items():
        (tmp_path / name).write_text(text)
    assert reference.stale(tmp_path) == []
    (tmp_path / "Gateway.md").unlink()
    (tmp_path / "NatFirewall.md").write_text("# Changed\n")
    (tmp_path / "Former.md").write_text("# Former\n")
    assert reference.stale(tmp_path) == ["Former.md", "Gateway.md", "NatFirewall.md"]


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
