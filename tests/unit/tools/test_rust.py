"""Programs in Rust for the tests: built where the machine can, with what was pinned; else it is said why not."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.tools.fakes import fake_program
from tools import rust
from tools.progress import StepFailed
from tools.rust import CRATES, check_digest, why_not

CRATE = CRATES["gotatun"]


def machine(directory: Path, monkeypatch: pytest.MonkeyPatch, *, cargo: str | None, compiler: bool = True) -> None:
    """PATH with a Cargo of this version and a C compiler, or without."""
    directory.mkdir(exist_ok=True)
    if cargo is not None:
        fake_program(directory, "cargo", f"echo 'cargo {cargo} (abcdef 2026-01-01)'")
    if compiler:
        fake_program(directory, "cc", "exit 0")
    monkeypatch.setenv("PATH", str(directory))


@pytest.mark.parametrize("version", ["1.95.0", "1.96.1", "2.0.0"])
def test_cargo_is_used_from_the_needed_version_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    machine(tmp_path, monkeypatch, cargo=version)
    assert why_not("gotatun") is None


@pytest.mark.parametrize(
    ("version", "has"), [("1.94.9", "it is 1.94"), (None, "there is none"), ("x", "there is none")]
)
def test_older_or_no_cargo_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None, has: str
) -> None:
    machine(tmp_path, monkeypatch, cargo=version)
    assert why_not("gotatun") == f"no cargo new enough: gotatun-cli {CRATE.version} needs 1.95, {has}"


def test_missing_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, cargo="1.95.0", compiler=False)
    assert why_not("boringtun") == "no C compiler, which boringtun-cli needs"


def fetched(directory: Path, content: bytes) -> None:
    (directory / "index").mkdir()
    (directory / "index" / f"{CRATE.name}-{CRATE.version}.crate").write_bytes(content)


def test_the_fetched_crate_is_the_pinned_one_or_nothing_is_built(tmp_path: Path) -> None:
    fetched(tmp_path, b"the crate")
    check_digest(replace(CRATE, digest=hashlib.sha256(b"the crate").hexdigest()), tmp_path)
    with pytest.raises(StepFailed, match=r"another SHA-256 than tools/rust\.py pins"):
        check_digest(CRATE, tmp_path)


def test_a_crate_that_is_not_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="is: none"):
        check_digest(CRATE, tmp_path)


@pytest.fixture
def building(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Cargo whose program says how it was built."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / "home"))
    script = """
cache=$CARGO_HOME/registry/cache/index
case $1 in
info) mkdir -p $cache; printf crate >$cache/gotatun-cli-0.10.2.crate ;;
install) mkdir -p $CARGO_TARGET_DIR $5/bin; { echo "$@"; env; } >$5/bin/gotatun ;;
esac
"""
    fake_program(tmp_path / "bin", "cargo", script)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setitem(CRATES, "gotatun", replace(CRATE, digest=hashlib.sha256(b"crate").hexdigest()))


def test_a_build_is_kept_whole_and_without_its_rubble(building: None) -> None:
    program = rust.ensure("gotatun")
    assert "install --locked --no-track --root" in program.read_text()
    assert "gotatun-cli@0.10.2 --no-default-features --features ring" in program.read_text()
    assert [path.name for path in program.parents[1].iterdir()] == ["bin"]


def test_the_benchmark_gets_a_build_of_its_own_that_is_not_the_tests_quick_one(building: None) -> None:
    quick, optimised = rust.ensure("gotatun"), rust.ensure("gotatun", optimised=True)
    assert quick != optimised
    assert "CARGO_PROFILE_RELEASE_OPT_LEVEL=1" in quick.read_text()
    assert "CARGO_PROFILE" not in optimised.read_text()
    assert "--no-default-features" not in optimised.read_text()
