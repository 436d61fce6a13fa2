"""What set-up installs appears whole or not at all, and once however many ask for it."""

import threading
import time
from pathlib import Path

import pytest

from tools.cache import cache_directory, install_once


def test_cache_follows_xdg_and_ignores_a_relative_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ops")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/ops")
    assert cache_directory() == Path("/var/cache/ops/wgnode")
    monkeypatch.setenv("XDG_CACHE_HOME", "elsewhere")
    assert cache_directory() == Path("/home/ops/.cache/wgnode")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_directory() == Path("/home/ops/.cache/wgnode")


def test_failed_installation_leaves_no_directory(tmp_path: Path) -> None:
    def make(directory: Path) -> None:
        (directory / "half").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        install_once(tmp_path / "tool", "a tool", make)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_rest_of_a_killed_installation_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".tool.part-killed" / "bin").mkdir(parents=True)
    install_once(tmp_path / "tool", "a tool", lambda directory: (directory / "whole").touch())
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["tool"]
    assert (tmp_path / "tool" / "whole").exists()


def test_two_at_once_install_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(directory: Path) -> None:
        made.append(directory)
        time.sleep(0.2)

    threads = [threading.Thread(target=install_once, args=(tmp_path / "tool", "a tool", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert (tmp_path / "tool").is_dir()
