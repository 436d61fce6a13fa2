"""What outlives a guest, and what becomes of a file that something else than hostd wrote."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from wgnode.hostd import endpoints, files, state
from wgnode.hostd.said import HOUR, PeerPlace
from wgnode.hostd.state import StateFile
from wgnode.nodeconfig import encode_key

A, B, C = (encode_key(bytes([fill]) * 32) for fill in (1, 2, 3))
NOW = 1_700_000_000 * 10**9
YEAR_3000 = 32_503_680_000 * 10**9
GOOD = {"endpoint": "192.0.2.7:51820", "last_handshake": 1_699_999_000.5}


@pytest.fixture
def warned() -> list[str]:
    return []


def opened(directory: Path, warned: list[str] | None = None, wall: int = NOW) -> StateFile:
    return StateFile(directory, wall, ([] if warned is None else warned).append)


def written(directory: Path, content: Any, at: float = NOW / 1e9) -> Path:
    """The file as a hostd left it when the host's clock showed `at` (seconds)."""
    file = directory / state.FILE
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    os.utime(file, (at, at))
    return file


def test_state_survives_and_forgets_peers_that_the_configuration_has_no_more(tmp_path: Path) -> None:
    at = PeerPlace("192.0.2.7:51820", 1.0)
    opened(tmp_path).update({A: at, B: at, C: at}, [A, B])
    assert opened(tmp_path).peers == {A: at, B: at}, "C was never in it"
    opened(tmp_path).update({}, [B])
    assert opened(tmp_path).peers == {B: at}
    assert [file.name for file in tmp_path.iterdir()] == ["peers.json"]
    assert opened(tmp_path).file.stat().st_mode & 0o777 == 0o600


def test_state_is_not_written_for_a_handshakes_time_that_wavers(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    kept.update({A: PeerPlace("192.0.2.7:1", 1000.001)}, [A])
    before = kept.file.stat().st_ino
    kept.update({A: PeerPlace("192.0.2.7:1", 999.999)}, [A])
    assert kept.file.stat().st_ino == before
    for news in (PeerPlace("192.0.2.8:1", 999.999), PeerPlace("192.0.2.8:1", 1120.0)):
        kept.update({A: news}, [A])
        assert opened(tmp_path).peers == {A: news}


def test_peers_are_remembered_where_they_were_and_named_ones_while_a_session_may_last() -> None:
    kept = {"roamed": PeerPlace("r:1", 0.0), "named": PeerPlace("n:1", 1000.0), "nowhere": PeerPlace(None, 1000.0)}
    named = {"named": "x.example:1"}
    assert endpoints.remembered(kept, named, 1179.9) == {"roamed": "r:1", "named": "n:1"}
    assert endpoints.remembered(kept, named, 1180.1) == {"roamed": "r:1"}


def test_the_next_time_stamp_is_above_all_that_a_guest_may_have_used(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    assert kept.floor == 0
    kept.stamped(1000 * 10**9)
    kept.stamped(999 * 10**9)
    assert kept.floor == 1002 * 10**9, "heard a heartbeat ago"
    kept.update({}, [])
    assert opened(tmp_path).floor == 1040 * 10**9, "written some time before hostd or the host ended"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\0" * 500,
        b"\xff",
        b"[" * 100_000,
        b'{"format":99,"peers":{"a":1}}',
        b'{"format":1,"peers":3,"tai64n":"x"}',
        b'{"format":1,"format":1,"peers":{}}',
        b'{"format":1,"peers":{},"tai64n":NaN}',
        b" " * (files.LARGEST + 1),
    ],
    ids=lambda content: repr(content[:20]),
)
def test_a_state_file_that_can_not_be_used_is_set_aside(tmp_path: Path, content: bytes, warned: list[str]) -> None:
    written(tmp_path, content)
    kept = opened(tmp_path, warned)
    assert (kept.peers, kept.floor, len(warned)) == ({}, 0, 1)
    assert (tmp_path / state.ASIDE).read_bytes() == content
    kept.update({A: PeerPlace("192.0.2.7:1", 1.0)}, [A])
    assert list(opened(tmp_path, warned).peers) == [A]
    assert len(warned) == 1


def test_what_a_newer_version_knew_is_refused_by_name_and_waits_for_it(
    tmp_path: Path, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older hostd after a downgrade, then one whose own file is damaged, and then the newer version again."""
    newer = {"format": 2, "peers": {A: GOOD, B: {**GOOD, "last_handshake": NOW / 1e9 - 5}}, "tai64n": 77, "more": [1]}
    written(tmp_path, newer)
    older = opened(tmp_path, warned)
    assert "has format 2, of a newer version of wgnode; this version reads up to 1" in warned[0]
    assert older.peers == {}
    older.stamped(NOW)
    older.update({A: PeerPlace("192.0.2.8:1", NOW / 1e9), C: PeerPlace("192.0.2.9:1", NOW / 1e9)}, [A, B, C])
    learnt = older.file.read_bytes()

    older.file.write_bytes(b"damaged")
    assert opened(tmp_path, warned).peers == {}
    assert json.loads((tmp_path / state.ASIDE).read_text()) == newer, "it is still there"
    assert (tmp_path / state.ASIDE_DAMAGED).read_bytes() == b"damaged"

    older.file.write_bytes(learnt.replace(b'"format": 1', b'"format": 2'))  # it reads what older ones wrote
    monkeypatch.setattr(state, "FORMAT", 2)
    for again in (opened(tmp_path, warned), opened(tmp_path, warned)):
        assert {key: at.endpoint for key, at in again.peers.items()} == {
            A: "192.0.2.8:1",
            B: GOOD["endpoint"],
            C: "192.0.2.9:1",
        }
        assert again.tai64n == NOW
    assert sorted(file.name for file in tmp_path.iterdir()) == [state.FILE, state.ASIDE_DAMAGED]


@pytest.mark.parametrize("write", [lambda work: False, lambda work: True], ids=["too busy", "later"])
def test_what_is_taken_back_goes_only_once_it_is_written(tmp_path: Path, write: state.Write) -> None:
    written(tmp_path, {"format": 1, "peers": {A: GOOD}, "tai64n": 5}).rename(tmp_path / state.ASIDE)
    assert list(StateFile(tmp_path, NOW, [].append, write).peers) == [A]
    assert (tmp_path / state.ASIDE).exists()
    assert list(opened(tmp_path).peers) == [A]
    assert [file.name for file in tmp_path.iterdir()] == [state.FILE]


def test_what_is_no_file_is_neither_followed_nor_waited_for(tmp_path: Path, warned: list[str]) -> None:
    target = written(tmp_path, {"format": 1, "peers": {A: GOOD}, "tai64n": 5}).rename(tmp_path / "elsewhere")
    before = target.read_bytes()
    for make in (lambda at: at.symlink_to(target), os.mkfifo, os.mkdir, lambda at: at.symlink_to("/dev/zero")):
        make(tmp_path / state.FILE)
        assert opened(tmp_path, warned).peers == {}
        for left in (state.ASIDE, state.FILE):
            if (tmp_path / left).is_dir():
                (tmp_path / left).rmdir()
    assert len(warned) == 4
    (tmp_path / "peers.new").symlink_to(target)
    opened(tmp_path).update({A: PeerPlace("192.0.2.7:1", 1.0)}, [A])
    assert target.read_bytes() == before, "what was half written is not written through"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_another_users_file_is_not_believed(tmp_path: Path, warned: list[str]) -> None:
    os.chown(written(tmp_path, {"format": 1, "peers": {A: GOOD}, "tai64n": 5}), 12345, 12345)
    assert (opened(tmp_path, warned).peers, len(warned)) == ({}, 1)


def test_a_disk_that_refuses_is_told_once(tmp_path: Path, warned: list[str]) -> None:
    kept = opened(tmp_path / "nothing", warned)
    for stamp in (1, 2, 3):
        kept.stamped(stamp)
        kept.save()
    assert len(warned) == 1
    (tmp_path / "nothing").mkdir()
    kept.save()
    assert opened(tmp_path / "nothing").tai64n == 3


@pytest.mark.parametrize(
    "bad",
    [
        {"not a key": GOOD},
        {B[:-1]: GOOD},
        {B: 3},
        {B: {**GOOD, "last_handshake": "then"}},
        {B: {**GOOD, "last_handshake": True}},
        {B: {**GOOD, "last_handshake": (NOW + HOUR) / 1e9 + 1}},
        *({B: {**GOOD, "endpoint": at}} for at in (3, [], "", "gate.example:1", "224.0.0.1:5", "0.0.0.0:5", "[::]:5")),
        *({B: {**GOOD, "endpoint": at}} for at in ("192.0.2.1:0", "[fe80::1%3]:5", "[ff02::1]:5", "127.0.0.1:1")),
    ],
    ids=str,
)
def test_a_bad_entry_that_was_kept_costs_no_other(tmp_path: Path, bad: dict[str, Any], warned: list[str]) -> None:
    written(tmp_path, {"format": 1, "peers": {A: GOOD, **bad, C: GOOD}, "tai64n": NOW - 5})
    kept = opened(tmp_path, warned)
    assert (sorted(kept.peers), kept.tai64n, len(warned)) == (sorted([A, C]), NOW - 5, 1)


@pytest.mark.parametrize("tai64n", [YEAR_3000, NOW + HOUR + 1, -1, 1 << 100, "1", None, True, [], 1.5])
def test_a_time_stamp_of_nobody_that_was_kept_is_forgotten(tmp_path: Path, tai64n: Any, warned: list[str]) -> None:
    written(tmp_path, {"format": 1, "peers": {A: GOOD}, "tai64n": tai64n})
    kept = opened(tmp_path, warned)
    assert (kept.floor, list(kept.peers), len(warned)) == (0, [A], 1)


def test_a_time_stamp_within_the_hour_is_kept(tmp_path: Path, warned: list[str]) -> None:
    written(tmp_path, {"format": 1, "peers": {}, "tai64n": NOW + HOUR})
    assert (opened(tmp_path, warned).tai64n, warned) == (NOW + HOUR, [])


def test_a_host_that_boots_in_1970_takes_back_no_time_stamp(tmp_path: Path, warned: list[str]) -> None:
    """The file's own time is of the host's clock, from before it was lost; a guest has no hand in it."""
    written(tmp_path, {"format": 1, "peers": {A: GOOD}, "tai64n": NOW - 5})
    kept = opened(tmp_path, warned, wall=60 * 10**9)
    assert (kept.tai64n, list(kept.peers), warned) == (NOW - 5, [A], [])
    assert kept.clock(61 * 10**9) == NOW
    assert kept.clock(NOW + 1) == NOW + 1


def test_the_file_is_written_whole_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warned: list[str]) -> None:
    kept = opened(tmp_path, warned)
    kept.update({A: PeerPlace("192.0.2.7:1", 1.0)}, [A])

    def fails(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state.os, "fsync", fails)
    kept.stamped(time.time_ns())
    kept.save()
    assert (opened(tmp_path).tai64n, len(warned)) == (0, 1)
