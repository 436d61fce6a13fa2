"""Checks with the compiler's unstable options: by which Rust, and what is said where something is missing."""

from pathlib import Path

import pytest

from tests.unit.tools.fakes import fake_program
from tools.fastpath import unstable


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PATH with a C compiler, and a rustc whose sysroot has AddressSanitizer's run-time."""
    directory = tmp_path / "bin"
    fake_program(directory, "cc", "echo cc 12")
    fake_program(directory, "rustc", f"echo {tmp_path}")
    library = tmp_path / "lib" / "rustlib" / "a-target" / "lib"
    library.mkdir(parents=True)
    (library / "librustc-stable_rt.asan.a").touch()
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.delenv("RUSTUP_TOOLCHAIN", raising=False)
    monkeypatch.delenv("RUSTC_BOOTSTRAP", raising=False)
    return directory


def fake_cargo(programs: Path, *, nightly: bool, rest: str) -> None:
    answer = "echo cargo 99.1.0-nightly; exit" if nightly else "exit 1"
    asked = f'if [ "$RUSTUP_TOOLCHAIN" = nightly ]; then {answer}; fi; echo cargo 99.0.0; exit'
    fake_program(programs, "cargo", f'if [ "$1" = --version ]; then {asked}; fi; {rest}')


def test_a_nightly_is_taken_where_there_is_one_and_else_the_stable_compiler_is_unlocked(
    programs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    show = 'echo "$RUSTUP_TOOLCHAIN,$RUSTC_BOOTSTRAP"; exit 7'
    fake_cargo(programs, nightly=True, rest=show)
    assert unstable.run(["test"]) == 7
    assert capfd.readouterr().out == "nightly,\n"
    fake_cargo(programs, nightly=False, rest=show)
    assert unstable.run(["test"]) == 7
    assert capfd.readouterr().out == ",1\n"


@pytest.mark.parametrize(("command", "remedy"), [("fuzz", "cargo install cargo-fuzz"), ("miri", "--component miri")])
def test_a_command_that_is_not_installed_is_a_failure_that_says_how_to_get_it(
    programs: Path, capfd: pytest.CaptureFixture[str], command: str, remedy: str
) -> None:
    fake_cargo(programs, nightly=False, rest="exit 101")
    assert unstable.run([command, "run"]) == 1
    said = capfd.readouterr().err
    assert f"cargo {command} of the compiled data plane: not done, it is not installed; " in said
    assert remedy in said


def test_where_the_library_is_to_be_built_too_its_source_has_to_be_there(
    programs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_cargo(programs, nightly=True, rest="exit 0")
    assert unstable.run(["test", "-Zbuild-std"]) == 1
    said = capfd.readouterr().err
    assert "without its library's source; rustup toolchain install nightly --component rust-src" in said
    source = tmp_path / unstable.SOURCE
    source.parent.mkdir(parents=True)
    source.touch()
    assert unstable.run(["test", "-Zbuild-std"]) == 0


def test_without_the_run_time_of_addresssanitizer_nothing_is_built(
    programs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_cargo(programs, nightly=False, rest="exit 0")
    assert unstable.run(["test"]) == 0
    (tmp_path / "lib" / "rustlib" / "a-target" / "lib" / "librustc-stable_rt.asan.a").unlink()
    assert unstable.run(["test"]) == 1
    assert "without AddressSanitizer's run-time; rustup toolchain install nightly" in capfd.readouterr().err
