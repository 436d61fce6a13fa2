"""What is remembered of paths: by peer, version and own address, bounded, and forgotten where it can't be read."""

import json
from pathlib import Path
from typing import Any

import pytest

from wgnode.hostd import files, pathmemory
from wgnode.hostd.pathmemory import PathMemory
from wgnode.hostd.said import Learned
from wgnode.nodeconfig import encode_key

A, B = (encode_key(bytes([fill]) * 32) for fill in (1, 2))
NOW = 1_700_000_000 * 10**9
AT = 1_699_999_000.0
TOLD = {"family": 4, "own": "192.0.2.1", "size": 1440, "at": AT}


@pytest.fixture
def warned() -> list[str]:
    return []


def opened(directory: Path, warned: list[str] | None = None) -> PathMemory:
    return PathMemory(directory, NOW, ([] if warned is None else warned).append)


def learned(key: str = A, own: str = "192.0.2.1", size: int = 1440, at: float = AT) -> Learned:
    return Learned(key, 6 if ":" in own else 4, own, size, at)


def test_each_version_and_own_address_of_a_peer_is_remembered_apart(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    kept.update([learned(), learned(own="198.51.100.1", size=1280)], [A])
    kept.update([learned(own="2001:db8::1", size=1400)], [A])
    offered = opened(tmp_path).offered([A])
    assert {(one["family"], one["own"], one["size"]) for one in offered[A]} == {
        (4, "192.0.2.1", 1440),
        (4, "198.51.100.1", 1280),
        (6, "2001:db8::1", 1400),
    }
    assert kept.file.stat().st_mode & 0o777 == 0o600


def test_peers_that_the_configuration_has_no_more_are_forgotten_and_never_offered(tmp_path: Path) -> None:
    opened(tmp_path).update([learned(), learned(B)], [A])
    assert set(opened(tmp_path).offered([A, B])) == {A}
    opened(tmp_path).update([], [B])
    assert opened(tmp_path).offered([A, B]) == {}


def test_a_peer_that_moves_all_the_time_leaves_only_its_last_places(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    for number in range(100):
        kept.update([learned(own=f"192.0.2.{number}", at=AT + number)], [A])
    last = [f"192.0.2.{number}" for number in range(96, 100)]
    assert [one["own"] for one in opened(tmp_path).offered([A])[A]] == last


def test_it_is_written_for_another_size_and_not_for_the_same_again(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    kept.update([learned()], [A])
    before = kept.file.stat().st_ino
    kept.update([learned(at=AT + pathmemory.STALE - 1)], [A])
    assert kept.file.stat().st_ino == before
    kept.update([learned(size=1280)], [A])
    assert opened(tmp_path).offered([A]) == {A: [TOLD | {"size": 1280}]}
    kept.update([learned(size=1280, at=AT + pathmemory.STALE)], [A])
    assert opened(tmp_path).offered([A])[A][0]["at"] == AT + pathmemory.STALE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 90_000,
        b" " * (pathmemory.LARGEST + 1),
        json.dumps({"format": 2, "peers": {A: [TOLD]}}).encode(),
        json.dumps({"format": True, "peers": {A: [TOLD]}}).encode(),
        json.dumps({"format": 1, "peers": [TOLD]}).encode(),
    ],
    ids=lambda content: repr(content[:40]),
)
def test_a_file_that_can_not_be_used_is_forgotten_and_the_next_one_is_whole(
    tmp_path: Path, content: bytes, warned: list[str]
) -> None:
    (tmp_path / pathmemory.FILE).write_bytes(content)
    kept = opened(tmp_path, warned)
    assert kept.offered([A]) == {}
    assert "can't be used and is forgotten" in warned[0]
    kept.update([learned()], [A])
    assert opened(tmp_path).offered([A]) == {A: [TOLD]}


@pytest.mark.parametrize(
    "bad",
    [
        *(TOLD | change for change in ({"size": 67}, {"size": True}, {"family": 6}, {"own": "x"})),
        *(TOLD | {"at": at} for at in (None, "x", NOW / 1e9 + 3601, 1e300)),
        *({name: value for name, value in TOLD.items() if name != missing} for missing in ("family", "size", "at")),
        7,
        None,
        [],
    ],
    ids=repr,
)
def test_a_bad_entry_that_was_kept_costs_no_other(tmp_path: Path, bad: Any) -> None:
    peers = {A: [bad, TOLD], B: bad, "no key": [TOLD]}
    (tmp_path / pathmemory.FILE).write_text(json.dumps({"format": 1, "peers": peers}))
    assert opened(tmp_path).offered([A, B, "no key"]) == {A: [TOLD]}


def test_a_disk_that_refuses_is_told_once_and_tried_again(
    tmp_path: Path, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    kept = opened(tmp_path, warned)
    with monkeypatch.context() as patched:
        patched.setattr(files, "replace", full)
        kept.update([learned()], [A])
        kept.update([], [A])
    assert warned == ["what is known of paths is not kept: [Errno 28] No space left on device"]
    kept.update([], [A])
    assert opened(tmp_path).offered([A]) == {A: [TOLD]}


def test_what_is_left_out_of_a_slow_disks_queue_is_written_the_next_time(tmp_path: Path) -> None:
    taken = [False, True]
    kept = PathMemory(tmp_path, NOW, print, lambda work: taken.pop(0) and (work(), True)[1])
    kept.update([learned()], [A])
    assert opened(tmp_path).offered([A]) == {}
    kept.save()
    assert opened(tmp_path).offered([A]) == {A: [TOLD]}
    kept.save()
    assert taken == []
