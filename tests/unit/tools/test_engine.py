"""Which Pulumi engine is chosen: PATH, then the official release, then Go modules; and never another version."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.tools.fakes import fake_engine
from tools import ROOT, engine
from tools.engine import Source, first_that_works, fits, on_path
from tools.golang import module_version
from tools.progress import StepFailed


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("v3.259.0", True),
        ("v3.259.1", True),
        ("v3.260.0", True),
        ("v3.258.9", False),
        ("v4.0.0", False),
        ("v2.999.0", False),
        ("v3.260.0-alpha.1", False),
        ("", False),
    ],
)
def test_engine_fits_from_the_pinned_version_on_within_its_major_version(version: str, expected: bool) -> None:
    assert fits(version, "3.259.0") is expected


def test_engine_on_path_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{fake_engine(tmp_path / 'theirs', 'v3.260.0')}:{os.defpath}")
    assert on_path("3.259.0") == tmp_path / "theirs"


def test_language_host_beside_a_linked_engine_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fake_engine(tmp_path / "real", "v3.259.0")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "pulumi").symlink_to(real / "pulumi")
    monkeypatch.setenv("PATH", f"{tmp_path / 'links'}:{os.defpath}")
    assert on_path("3.259.0") == tmp_path / "links"


def test_engine_without_python_language_host_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = fake_engine(tmp_path / "theirs", "v3.259.0", language_host=False)
    monkeypatch.setenv("PATH", f"{theirs}:{os.defpath}")
    assert on_path("3.259.0") is None


def test_older_engine_on_path_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{fake_engine(tmp_path / 'theirs', 'v3.100.0')}:{os.defpath}")
    assert on_path("3.259.0") is None


def source(name: str, tried: list[str], version: str | None) -> Source:
    """A source that leaves a fake engine of `version`, or fails as a blocked network does."""

    def install(directory: Path) -> None:
        tried.append(name)
        (directory / f"left by {name}").touch()
        if version is None:
            raise StepFailed("name does not resolve")
        fake_engine(directory / "bin", version)

    return Source(name, install)


def test_next_source_is_tried_only_when_one_fails(tmp_path: Path) -> None:
    tried: list[str] = []
    sources = [source("release", tried, "v3.259.0"), source("modules", tried, "v3.259.0")]
    first_that_works(tmp_path, sources, "3.259.0")
    assert tried == ["release"]


def test_failed_source_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    tried: list[str] = []
    first_that_works(tmp_path, [source("release", tried, None), source("modules", tried, "v3.259.0")], "3.259.0")
    assert tried == ["release", "modules"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "left by modules"]


@pytest.mark.parametrize("version", ["v3.258.0", "v3.260.0", "v3.259.0-dev"])
def test_installed_engine_of_another_version_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(StepFailed, match=f"its engine says {version}, expected v3.259.0"):
        first_that_works(tmp_path, [source("release", [], version)], "3.259.0")
    assert list(tmp_path.iterdir()) == []


def test_failure_names_the_reason_of_each_source(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"release: name does not resolve\nmodules: name does not resolve"):
        first_that_works(tmp_path, [source("release", [], None), source("modules", [], None)], "3.259.0")


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and no `pulumi` on PATH; returns the cache's place."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    return tmp_path / "cache" / "wgnode"


def installer(tried: list[str], name: str, version: str | None) -> Callable[[Path, str], None]:
    return lambda directory, _version: source(name, tried, version).install(directory)


def test_engine_is_built_where_downloads_are_blocked_and_kept(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    version = engine.pinned_version()
    tried: list[str] = []
    monkeypatch.setattr(engine, "install_release", installer(tried, "release", None))
    monkeypatch.setattr(engine, "build_from_modules", installer(tried, "modules", f"v{version}"))
    assert engine.find() is None
    expected = nothing_installed / "pulumi" / f"v{version}" / "bin"
    assert engine.ensure() == expected
    assert engine.ensure() == expected == engine.find()
    assert tried == ["release", "modules"]


def test_nothing_stays_in_the_cache_when_all_sources_fail(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "install_release", installer([], "release", None))
    monkeypatch.setattr(engine, "build_from_modules", installer([], "modules", None))
    with pytest.raises(StepFailed, match="no Pulumi engine could be installed"):
        engine.ensure()
    assert engine.find() is None
    assert [path for path in (nothing_installed / "pulumi").iterdir() if path.is_dir()] == []


def test_blocked_network_fails_the_release_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real installer, sent to a proxy on a port of this machine where nobody listens."""
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setattr(engine, "SECONDS_FOR_RELEASE", 30)
    with pytest.raises(StepFailed, match="Connection refused"):
        engine.install_release(tmp_path, "3.259.0")


def test_go_modules_and_python_sdk_pin_the_same_version() -> None:
    pinned = engine.pinned_version()
    assert module_version(engine.ENGINE_MODULE, "github.com/pulumi/pulumi/pkg/v3") == pinned
    assert module_version(engine.ENGINE_MODULE, engine.SDK) == pinned
    assert f"\npulumi=={pinned} \\\n" in (ROOT / "requirements.lock").read_text()
