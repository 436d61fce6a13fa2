"""The wheel that image.lock pins: of these sources, the same by whoever builds it, and a difference is explained."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.tools.fakes import fake_program
from tools import ROOT
from tools.fastpath import pinned, wheel
from tools.rust import cargo_home
from wgnode.image import lock

HERE = lock.Extension("1" * 16, "a" * 64, "b" * 64, {"rustc": "1.95.0 (x)", "cc": "cc 12"})
NEWER = {"rustc": "1.96.0 (y)", "cc": "cc 12"}


def test_the_lock_pins_what_is_made_of_these_sources() -> None:
    """After a change of fastpath/: python -m tools.fastpath --lock, with the compilers that the lock names."""
    assert pinned.read().sources == wheel.digest(wheel.CRATE, "")
    options = pinned.read().made_by["options"]
    assert all(f"{name}={value}" in options for name, value in wheel.PROFILE.items())


@pytest.mark.parametrize(
    ("here", "says"),
    [
        (HERE, []),
        (replace(HERE, sources="2" * 16), []),  # a comment: it comes to the same
        (replace(HERE, files="c" * 64, made_by=NEWER), ["rustc: here 1.96.0 (y), pinned 1.95.0 (x)"]),
        (replace(HERE, files="c" * 64, made_by={"rustc": "1.95.0 (x)"}), ["cc: here nothing, pinned cc 12"]),
        (replace(HERE, files="c" * 64, sources="2" * 16), ["fastpath/ has been changed since"]),
        (replace(HERE, files="c" * 64), ["the same compilers and sources gave other bytes"]),
    ],
)  # fmt: skip
def test_why_a_wheel_is_another_one_is_told(here: lock.Extension, says: list[str]) -> None:
    told = pinned.differences(HERE, here)
    assert [part in line for part, line in zip(says, told, strict=True)] == [True] * len(says)


def rustup(directory: Path, monkeypatch: pytest.MonkeyPatch, default: str, *others: str) -> None:
    """A rustc that runs these versions as rustup's does."""
    monkeypatch.delenv("RUSTUP_TOOLCHAIN", raising=False)
    cases = "".join(f"{version.split(' ')[0]}) echo 'rustc {version}' ;; " for version in others)
    fake_program(
        directory, "rustc", f"case $RUSTUP_TOOLCHAIN in '') echo 'rustc {default}' ;; {cases}*) exit 1 ;; esac"
    )
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


def test_the_pinned_rust_is_taken_where_rustup_has_it_beside_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = " ".join(pinned.read().made_by["rustc"].split(" ")[:3])
    monkeypatch.delenv("RUSTUP_TOOLCHAIN", raising=False)
    rustup(tmp_path / "a", monkeypatch, "1.99.0 (abc 2027-01-01)", version)
    assert pinned.toolchain(os.environ) == {"RUSTUP_TOOLCHAIN": version.split(" ")[0], "RUSTUP_AUTO_INSTALL": "0"}
    assert pinned.toolchain({**os.environ, "RUSTUP_TOOLCHAIN": "nightly"}) == {}, "somebody's choice stays"
    rustup(tmp_path / "b", monkeypatch, version)
    assert pinned.toolchain(os.environ) == {}
    rustup(tmp_path / "c", monkeypatch, "1.99.0 (abc 2027-01-01)")
    assert pinned.toolchain(os.environ) == {}


def test_no_setting_of_the_developers_reaches_the_compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = ("RUSTFLAGS", "CFLAGS", "CARGO_PROFILE_RELEASE_LTO", "RUSTC_WRAPPER", "CPATH", "MATURIN_PEP517_ARGS", "CC")
    for name in theirs:
        monkeypatch.setenv(name, "of-the-developer")
    monkeypatch.setenv("CARGO_HOME", "/cargo")
    monkeypatch.setenv("CARGO_HTTP_PROXY", "proxy")
    given = wheel._environment(tmp_path)
    assert "of-the-developer" not in given.values()
    assert (given["CARGO_HOME"], given["CARGO_HTTP_PROXY"]) == ("/cargo", "proxy"), "how it gets at crates"


ANOTHER_DEVELOPER = {
    "LC_ALL": "C",
    "TZ": "Asia/Tokyo",
    "USER": "else",
    "RUSTFLAGS": "-C debuginfo=2",
    "CFLAGS": "-O0 -g",
    "CARGO_INCREMENTAL": "1",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
}
SETTINGS = "[profile.release]\ncodegen-units = 7\n[build]\nrustflags = ['-g']\n[env]\nCXXFLAGS = '-g'\n"
BUILD_THERE = "import os; os.umask(0o077); from tools.fastpath import wheel; print(wheel.ensure())"


@pytest.mark.sampled(0)  # more than a minute; in make test-long
def test_two_builders_give_the_same_bytes_without_a_path_of_their_machines(tmp_path: Path) -> None:
    """A minute: the only build here that is real. From another clone with other times, as another user, with another
    umask, language, time zone, home, place of crates, and settings for Cargo and compilers."""
    if (reason := wheel.why_not()) is not None:
        pytest.skip(f"the compiled data plane is not there ({reason})")
    first = wheel.ensure()
    second = built_by_another(tmp_path / "somebody else's")
    assert second.read_bytes() == first.read_bytes()
    with zipfile.ZipFile(second) as archive:
        content = b"".join(map(archive.read, archive.namelist()))
    for path in (tmp_path, Path.home(), ROOT, cargo_home()):
        assert f"{path}/".encode() not in content
    here = pinned.made_here(first)
    if here.made_by == pinned.read().made_by:
        assert here == pinned.read(), "image.lock does not pin what its compilers make"


def built_by_another(folder: Path) -> Path:
    clone, home = folder / "clone", folder / "home"
    for name in ("fastpath", "tools", "wgnode"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("target", "__pycache__"))
    shutil.copy(ROOT / "image.lock", clone)
    for path in clone.rglob("*"):
        os.utime(path, (1e9, 1e9))
    crates = home / "cargo"
    for part in ("index", "cache"):  # the crates' files, not yet unpacked
        shutil.copytree(cargo_home() / "registry" / part, crates / "registry" / part)
    own = cargo_home() / "config.toml"
    (crates / "config.toml").write_text((own.read_text() if own.is_file() else "") + SETTINGS)
    rustup = os.environ.get("RUSTUP_HOME") or str(Path.home() / ".rustup")
    environment = {**os.environ, **ANOTHER_DEVELOPER, "HOME": str(home), "CARGO_HOME": str(crates)}
    environment |= {"RUSTUP_HOME": rustup, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(clone)}
    alone = ["unshare", "--user", "--map-user=1234", "--map-group=1234"]
    can = subprocess.run([*alone, "true"], capture_output=True, check=False).returncode == 0
    done = subprocess.run(
        [*(alone if can else []), sys.executable, "-c", BUILD_THERE],
        cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return Path(done.stdout.strip())
