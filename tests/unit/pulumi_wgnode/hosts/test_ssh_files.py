"""Files on a host over SSH: written whole or not at all, and nothing left behind."""

from __future__ import annotations

import hashlib
import os
import pwd
import threading
import time

import pytest

from pulumi_wgnode.hosts.host import (
    HostError,
)

ME = pwd.getpwuid(os.getuid()).pw_name


def test_a_file_is_written_only_when_content_or_metadata_differ(host, tmp_path):
    path = str(tmp_path / "a file")
    own = {"owner": ME, "group": str(os.getgid())}
    assert host.write_file(path, b"one", mode=0o600, **own) is True
    inode = os.stat(path).st_ino
    assert host.read_file(path) == b"one"
    assert host.write_file(path, b"two", mode=0o600, **own) is True
    assert os.stat(path).st_ino != inode  # replaced, never written in place
    assert host.write_file(path, b"two", mode=0o640, **own) is True
    assert os.stat(path).st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["a file"]


def test_a_file_whose_data_ends_early_leaves_the_old_one(host, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(HostError, match="data ended early"):
        host._write(str(path), [b"ne"], 3, 10, 0o644, f"{ME}:{os.getgid()}")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_of_ours_that_cannot_be_read_to_its_end_leaves_the_old_one_at_once(host, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def broken():
        yield b"ne"
        raise OSError(5, "Input/output error")

    start = time.monotonic()
    with pytest.raises(HostError, match="data ended early"):
        host._write(str(path), broken(), 3, 30, 0o644, f"{ME}:{os.getgid()}")
    assert time.monotonic() - start < 5
    assert path.read_bytes() == b"old"


def test_a_write_that_is_ended_by_its_time_limit_leaves_nothing_behind(host, tmp_path):
    ended = threading.Event()

    def slow():
        yield b"secret"
        ended.wait(20)

    with pytest.raises(HostError, match="did not end within 1 s"):
        host._write(str(tmp_path / "file"), slow(), 100, 1, 0o600, f"{ME}:{os.getgid()}")
    ended.set()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_write_left_goes_at_the_next_one(host, tmp_path):
    left, fresh, other = (tmp_path / name for name in ("file.new-aaaaaaaa", "file.new-bbbbbbbb", "fil.new-aaaaaaaa"))
    for path in (left, fresh, other):
        path.write_bytes(b"secret")
    for path in (left, other):
        os.utime(path, (time.time() - 660,) * 2)
    host.write_file(str(tmp_path / "file"), b"one", owner=ME, group=str(os.getgid()))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["file", fresh.name, other.name])


def test_an_unchanged_file_is_left_alone(host, tmp_path):
    path = str(tmp_path / "file")
    group = host.run(["id", "-gn"]).stdout.strip()
    host.write_file(path, b"one", owner=ME, group=group)
    inode = os.stat(path).st_ino
    assert host.write_file(path, b"one", owner=ME, group=group) is False
    assert os.stat(path).st_ino == inode


def test_stat_tells_digest_size_mode_and_owner_of_what_exists(host, tmp_path):
    (tmp_path / "x y").write_bytes(b"data")
    os.chmod(tmp_path / "x y", 0o604)
    (tmp_path / "link").symlink_to("x y")
    found = host.stat([str(tmp_path / "x y"), str(tmp_path / "none"), str(tmp_path / "link"), str(tmp_path)])
    assert list(found) == [str(tmp_path / "x y")]
    file = found[str(tmp_path / "x y")]
    assert (file.sha256, file.size, file.mode, file.owner) == (hashlib.sha256(b"data").hexdigest(), 4, 0o604, ME)


def test_a_missing_file_reads_as_none_and_is_no_error_to_remove(host, tmp_path):
    assert host.read_file(str(tmp_path / "none")) is None
    host.remove(str(tmp_path / "none"))


def test_remove_takes_files_and_empty_directories_only(host, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    host.remove(str(tmp_path / "full"))
    assert (tmp_path / "full" / "file").exists()
    host.remove(str(tmp_path / "full" / "file"))
    host.remove(str(tmp_path / "full"))
    assert os.listdir(tmp_path) == []


def test_an_upload_reports_progress_and_arrives_whole(host, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(1 << 20))
    seen = []
    with pytest.raises(HostError, match="cannot write"):
        host.upload(str(tmp_path / "nowhere" / "target"), str(source))
    own = {"owner": ME, "group": str(os.getgid())}
    host.upload(str(target), str(source), progress=lambda sent, size: seen.append((sent, size)), **own)
    assert target.read_bytes() == source.read_bytes()
    assert seen[-1] == (1 << 20, 1 << 20)
