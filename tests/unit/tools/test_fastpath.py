"""The compiled data plane's wheel: built where the machine can, once; installed when it is another; else said once."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.unit.tools.fakes import fake_program
from tools import ROOT
from tools.fastpath import __main__ as command
from tools.fastpath import cargo, environment, wheel

NEEDED = ".".join(map(str, wheel.rust_version()))


def machine(directory: Path, monkeypatch: pytest.MonkeyPatch, *, cargo: str | None, compiler: bool = True) -> None:
    """PATH with a Cargo of this version and a C compiler, or without."""
    directory.mkdir(exist_ok=True)
    if cargo is not None:
        fake_program(directory, "cargo", f"echo 'cargo {cargo}'")
    if compiler:
        fake_program(directory, "cc", "echo cc 12")
    monkeypatch.setenv("PATH", str(directory))


def test_the_cargo_that_cargo_toml_asks_for_is_enough_and_an_older_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    major, minor = wheel.rust_version()
    machine(tmp_path, monkeypatch, cargo=f"{major}.{minor}.0")
    assert wheel.why_not() is None
    machine(tmp_path, monkeypatch, cargo=f"{major}.{minor - 1}.9")
    assert wheel.why_not() == (
        f"it needs Cargo {NEEDED}, and this machine has {major}.{minor - 1}; get one by rustup, or from a newer Debian"
    )


def test_what_is_missing_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path / "a", monkeypatch, cargo=None)
    assert "this machine has none; get one by rustup" in (wheel.why_not() or "")
    machine(tmp_path / "b", monkeypatch, cargo="9.0.0", compiler=False)
    assert "apt-get install gcc" in (wheel.why_not() or "")


def crate(directory: Path) -> Path:
    (directory / "src" / "io").mkdir(parents=True)
    for name in (*wheel.FILES, "src/lib.rs", "src/io/mod.rs"):
        (directory / name).write_text(name)
    return directory


def test_every_source_counts_and_nothing_else(tmp_path: Path) -> None:
    made = crate(tmp_path / "crate")
    seen = {wheel.digest(made, "builder")}
    (made / "target").mkdir()
    (made / "target" / "x").write_text("rubble")
    assert {wheel.digest(made, "builder")} == seen
    for name in ("Cargo.lock", "src/io/mod.rs", "wgnode_fastpath.pyi"):
        (made / name).write_text("changed")
        seen.add(wheel.digest(made, "builder"))
    (made / "src" / "lib.rs").rename(made / "src" / "other.rs")
    seen |= {wheel.digest(made, "builder"), wheel.digest(made, "another builder")}
    assert len(seen) == 6


@pytest.fixture
def building(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose maturin writes down what it was asked for; returns the file that counts its calls."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    programs, calls = tmp_path / "bin", tmp_path / "calls"
    fake_program(programs, "cargo", "echo cargo 99.0.0")
    fake_program(programs, "rustc", "echo rustc 99.0.0")
    script = f"""
[ "$1" = --version ] && exec echo maturin
echo "$* RUSTFLAGS=$CARGO_ENCODED_RUSTFLAGS profile=$CARGO_PROFILE_RELEASE_LTO" >>{calls}
while [ "$1" != --out ]; do shift; done
mkdir -p "$2" "$CARGO_TARGET_DIR"
{sys.executable} -c '
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as made:
    made.writestr("wgnode_fastpath/__init__.py", "")
    made.writestr("wgnode_fastpath-0.1.0.dist-info/METADATA", "")
' "$2/wgnode_fastpath-0.1.0-cp311-abi3-manylinux_2_34_x86_64.whl"
"""
    fake_program(programs, "maturin", script)
    monkeypatch.setattr(wheel, "maturin", lambda: str(programs / "maturin"))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return calls


def test_a_wheel_is_built_once_and_kept_without_rubble(building: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARGO_PROFILE_RELEASE_LTO", "off")  # a developer's own
    assert wheel.built() is None
    first = wheel.ensure()
    assert wheel.ensure() == first == wheel.built()
    assert [path.name for path in first.parent.iterdir()] == [first.name]
    (call,) = building.read_text().splitlines()
    assert "build --release --locked --compatibility manylinux_2_34" in call
    assert "null" not in call
    assert call.endswith("profile=fat")


def test_another_compiler_builds_another_and_a_machine_without_any_takes_what_is_there(
    building: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = wheel.ensure()
    fake_program(building.with_name("bin"), "rustc", "echo rustc 100.0.0")
    assert wheel.built() is None
    assert wheel.ensure() != first
    fake_program(building.with_name("bin"), "cargo", "echo cargo 1.0.0")
    assert wheel.built() is not None


def test_the_bound_is_a_build_of_its_own_that_pip_does_not_see(building: Path) -> None:
    folder = wheel.ensure_bound()
    assert [path.name for path in folder.iterdir()] == ["wgnode_fastpath"]
    assert "--features null-crypto" in building.read_text()
    assert wheel.built() is None


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What pip has noted about our wheel; empty: none is installed."""
    noted: dict[str, str] = {}
    monkeypatch.setattr(environment, "_noted", lambda what: noted.get(what, ""))
    monkeypatch.setattr(
        environment,
        "install",
        lambda file: noted.update(hash=f"sha256={environment._sha256(file)}", url=file.as_uri()),
    )
    monkeypatch.setattr(environment, "remove", noted.clear)
    monkeypatch.setattr(command, "SAID", tmp_path / "said")
    return noted


def test_looking_asks_for_work_until_just_this_wheel_is_installed(building: Path, installed: dict[str, str]) -> None:
    assert command._install(only_look=True) == 1
    assert not building.exists(), "it only looks"
    assert command._install(only_look=False) == 0
    assert command._install(only_look=True) == 0
    installed["hash"] = "sha256=of another"
    assert command._install(only_look=True) == 1


def test_without_cargo_it_is_said_once_and_a_wheel_of_former_sources_goes(
    building: Path, installed: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    fake_program(building.with_name("bin"), "cargo", "exit 1")
    installed["url"] = (wheel.folder() / "former-sources" / "a.whl").as_uri()
    assert command._install(only_look=True) == 1
    assert command._install(only_look=False) == 0
    assert not installed
    assert "everything runs on plain Python: it needs Cargo" in capsys.readouterr().err
    assert command._install(only_look=True) == 0
    assert capsys.readouterr().err == ""


def test_without_cargo_a_wheel_of_somebody_else_stays(building: Path, installed: dict[str, str]) -> None:
    fake_program(building.with_name("bin"), "cargo", "exit 1")
    installed["url"] = "file:///mnt/a.whl"
    assert command._install(only_look=False) == 0
    assert installed


def test_cargo_works_on_the_crate_and_its_failure_is_ours(building: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fake_program(building.with_name("bin"), "cargo", '[ "$1" = --version ] && exec echo cargo 99.0.0; pwd; exit 7')
    assert cargo.run(["test", "--locked"]) == 7
    assert capfd.readouterr().out.strip() == str(wheel.CRATE)


def test_what_cargo_is_too_old_or_incomplete_for_is_said_in_a_line(
    building: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_program(building.with_name("bin"), "cargo", '[ "$1" = --version ] && exec echo cargo 99.0.0; exit 1')
    assert cargo.run(["clippy"]) == 0
    assert "cargo clippy of the compiled data plane: not done, it is not installed; rustup" in capfd.readouterr().err
    fake_program(building.with_name("bin"), "cargo", "echo cargo 1.0.0")
    assert cargo.run(["test"]) == 0
    assert capfd.readouterr().err.count("\n") == 1


def test_pip_notes_what_is_installed_so_that_it_is_known_again(tmp_path: Path) -> None:
    """In a virtual environment of its own, with the real pip."""
    file = tmp_path / "wgnode_fastpath-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as made:
        about = "wgnode_fastpath-0.1.0.dist-info"
        made.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: wgnode-fastpath\nVersion: 0.1.0\n")
        made.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{about}/RECORD", "")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    script = """
import json, sys
from pathlib import Path
from tools.fastpath import environment
wheel, said = Path(sys.argv[1]), []
said.append(environment.has(wheel))
environment.install(wheel)
said.append(environment.has(wheel))
wheel.write_bytes(wheel.read_bytes() + b" ")
said.append(environment.has(wheel))
environment.remove()
said.append(environment._noted("url"))
print(json.dumps(said))
"""
    done = subprocess.run(
        [tmp_path / "venv" / "bin" / "python", "-c", script, file],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == [False, True, False, ""]
