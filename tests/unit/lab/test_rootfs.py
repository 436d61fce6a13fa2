"""Building the hosts' root file systems, with stand-ins for mmdebstrap: all at once, each whole or not there at all."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lab import rootfs
from lab.errors import LabError

MAKE = 'mkdir "$0" && echo {suite} >"$0/suite"'


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is run for each suite, `$0` being where its root is to be made; the cache is in `tmp_path`."""
    scripts = {suite: MAKE.format(suite=suite) for suite in rootfs.SUITES}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(rootfs, "apt_sources", lambda suite: "")
    monkeypatch.setattr(rootfs, "check_space", lambda *_: None)
    monkeypatch.setattr(rootfs, "_command", lambda suite, root, _: ["sh", "-c", scripts[suite], str(root)])
    return scripts


def test_each_suite_has_its_own_and_a_second_call_builds_nothing(builds: dict[str, str]) -> None:
    roots = rootfs.ensure(print)
    assert {suite: (root / "suite").read_text().strip() for suite, root in roots.items()} == {
        suite: suite for suite in rootfs.SUITES
    }
    builds.clear()
    assert rootfs.ensure(print) == roots


def test_what_the_cache_has_is_not_built_again_and_an_older_recipes_goes(builds: dict[str, str]) -> None:
    roots = rootfs.ensure(print)
    (old := roots["trixie"].with_name("rootfs-0123456789abcdef")).mkdir()
    roots["trixie"].rename(old / "moved")
    del builds["bookworm"]
    assert rootfs.ensure(print) == roots
    assert not old.exists()


def test_they_are_built_side_by_side(builds: dict[str, str], tmp_path: Path) -> None:
    """Each waits for the other to have begun."""
    one, other = (tmp_path / suite for suite in rootfs.SUITES)
    for suite, mine, theirs in (("bookworm", one, other), ("trixie", other, one)):
        builds[suite] = f"touch {mine}; while [ ! -e {theirs} ]; do sleep 0.05; done; {builds[suite]}"
    assert len(rootfs.ensure(print)) == 2


def test_where_one_fails_the_other_ends_and_no_half_of_any_is_left(builds: dict[str, str], tmp_path: Path) -> None:
    builds["bookworm"], builds["trixie"] = "echo E: no such package; exit 25", f"touch {tmp_path / 'begun'}; sleep 60"
    started = time.monotonic()
    with pytest.raises(LabError, match=r"(?s)mmdebstrap of Debian 12 failed \(25\).*E: no such package"):
        rootfs.ensure(print)
    assert time.monotonic() - started < 10
    assert not [path for path in rootfs.cache_directory().iterdir() if path.is_dir()]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("W: GPG error: x trixie InRelease: NO_PUBKEY 6ED0E7B82643E131", "apt-get install debian-archive-keyring"),
        ("E: The repository 'x trixie Release' does not have a Release file.", "add one to them that has"),
    ],
)
def test_a_machine_that_cannot_have_the_other_release_is_told_the_way_out(
    builds: dict[str, str], said: str, told: str
) -> None:
    builds["trixie"] = f'echo "{said}"; exit 25'
    with pytest.raises(LabError, match=rf"(?s)mmdebstrap of Debian 13 failed.*{told}"):
        rootfs.ensure(print)
