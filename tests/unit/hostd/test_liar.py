"""A guest that lies: hostd lives, keeps none of it, and the next guest is told what is so."""

import json
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.hostd.fakes import FakeGuest, turn
from tests.unit.hostd.test_service import (
    HEALTH,
    KEY,
    PEER,
    RecordingNotifier,
    answer_health,
    baked,
    greet,
    hostd,
    in_thread,
    notifier,
    said,
    uapi,
)
from wgnode.hostd import client, service
from wgnode.hostd import guest as guest_module
from wgnode.hostd.service import Hostd
from wgnode.io.loop import Loop
from wgnode.nodeconfig import encode_key

__all__ = ["RecordingNotifier", "baked", "hostd", "notifier", "said"]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that comes after another is found at once."""
    monkeypatch.setattr(guest_module, "RECONNECT", 0.02)


STRANGER = encode_key(b"\7" * 32)
YEAR_3000 = 32_503_680_000 * 10**9


def raw(guest: FakeGuest, body: bytes) -> None:
    assert guest.connection is not None
    guest.connection.setblocking(True)
    guest.connection.sendall(struct.pack(">I", len(body)) + body)
    guest.connection.setblocking(False)


def still_well(loop: Loop, guest: FakeGuest, hostd: Hostd, tmp_path: Path) -> dict[str, Any]:
    """A good guest comes after it; what it is told."""
    guest.restart()
    greet(loop, guest)
    code, answer = in_thread(loop, guest, lambda: client.health(tmp_path / "hostd.sock"))
    assert (code, answer) == (0, {"name": "berlin", "status": "running", **HEALTH})
    return guest.of_type("resume")[0]


@pytest.mark.parametrize(
    "body",
    [
        *(
            b'{"type":"heartbeat","tai64n":%s}' % value
            for value in (b'"x"', b"null", b"[]", b"1e999", b"Infinity", b"NaN")
        ),
        b'{"type":"log","text":"\\ud800"}',
        b'{"type":"log","level":[],"text":{}}',
        b'{"type":"hello","endpoints":7,"name":[1]}',
        b'{"type":"hello","endpoints":{"garbage":"gate.example:1"},"error":[]}',
        b'{"type":"hello","can":3}',
        b'{"type":"reply","id":[1]}',
        b'{"type":"reply","id":{"a":1}}',
        b"\xff",
        b"",
        b"[" * 90_000,
    ],
    ids=lambda body: repr(body[:50]),
)
def test_no_message_ends_hostd(loop: Loop, guest: FakeGuest, hostd: Hostd, tmp_path: Path, body: bytes) -> None:
    greet(loop, guest)
    raw(guest, body)
    guest.send({"type": "log", "text": "after"})
    turn(loop, guest, lambda: "<6>guest: after" in hostd.say.__self__)  # type: ignore[attr-defined]
    still_well(loop, guest, hostd, tmp_path)


@pytest.mark.parametrize(
    "health",
    [
        3,
        [],
        {"peers": 7},
        {"peers": [7]},
        {"peers": [{}]},
        {"peers": [{**PEER, "public_key": "garbage"}]},
        {"peers": [{**PEER, "last_handshake": "x"}]},
        {"peers": [{**PEER, "last_handshake": 1e300}]},
        {"peers": [{**PEER, "endpoint": {"a": 1}}]},
        {"live": ["x"]},
    ],
    ids=repr,
)
def test_health_that_is_not_believed_is_neither_kept_nor_passed_on(
    loop: Loop, guest: FakeGuest, hostd: Hostd, tmp_path: Path, health: Any
) -> None:
    greet(loop, guest)
    answers = asked(loop, guest, lambda: client.health(tmp_path / "hostd.sock"), {"health": health})
    code, answer = answers
    assert (code, sorted(answer)) == (1, ["error", "name", "status"])
    assert "refused" in answer["error"]
    assert "gateway" not in client.describe(answer)
    assert hostd.kept.peers == {}
    assert still_well(loop, guest, hostd, tmp_path)["endpoints"] == {}


def asked(loop: Loop, guest: FakeGuest, ask: Callable[[], Any], content: dict[str, Any]) -> Any:
    """What a client gets when the guest answers with this."""
    results: list[Any] = []
    threading.Thread(target=lambda: results.append(ask()), daemon=True).start()

    def answered() -> bool:
        for question in list(guest.received):
            if "id" in question:
                guest.received.remove(question)
                guest.send({"type": "reply", "id": question["id"], **content})
        return bool(results)

    turn(loop, guest, answered)
    return results[0]


def test_a_guest_does_not_say_how_it_is_nor_who(loop: Loop, guest: FakeGuest, hostd: Hostd, tmp_path: Path) -> None:
    greet(loop, guest, error="no keys")
    lie = {**HEALTH, "status": "running", "name": "rome", "error": "no keys", "type": "x", "id": 3}
    code, answer = asked(loop, guest, lambda: client.health(tmp_path / "hostd.sock"), {"health": lie})
    assert code == 1
    assert answer == {**HEALTH, "name": "berlin", "status": "failed", "error": "no keys"}


def test_the_year_3000_is_not_kept(loop: Loop, guest: FakeGuest, hostd: Hostd, tmp_path: Path, said: list[str]) -> None:
    greet(loop, guest)
    guest.send({"type": "heartbeat", "tai64n": 1_050 * 10**9})
    for beyond in (YEAR_3000, 4_601 * 10**9):
        guest.send({"type": "heartbeat", "tai64n": beyond})
    turn(loop, guest, lambda: any("an hour beyond" in line for line in said))
    assert hostd.guest.status == "running", "its node may run all the same"
    assert still_well(loop, guest, hostd, tmp_path)["tai64n"] == 1_052 * 10**9


def test_peers_that_are_not_in_the_configuration_are_told_and_not_kept(
    loop: Loop, guest: FakeGuest, hostd: Hostd, tmp_path: Path
) -> None:
    greet(loop, guest, endpoints={STRANGER: "gate.example:51820"})
    health = {**HEALTH, "peers": [PEER, {**PEER, "public_key": STRANGER}]}
    answer_health(loop, guest, health)
    turn(loop, guest, lambda: hostd.kept.peers)
    assert list(hostd.kept.peers) == [KEY]
    assert hostd.peers.named == {}
    assert still_well(loop, guest, hostd, tmp_path)["endpoints"] == {KEY: PEER["endpoint"]}


def test_without_its_layer_no_peer_is_known(
    loop: Loop, guest: FakeGuest, hostd: Hostd, tmp_path: Path, said: list[str]
) -> None:
    hostd.places.config.unlink()
    greet(loop, guest)
    answer_health(loop, guest, HEALTH)
    turn(loop, guest, lambda: hostd.peers._seen)
    assert hostd.kept.peers == {}
    assert sum("which peers there are is not known" in line for line in said) == 1


def test_a_flood_of_lines_is_cut_and_counted(
    loop: Loop, guest: FakeGuest, hostd: Hostd, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    greet(loop, guest)
    hostd._lines = service.Bucket(10.0, 5.0)
    for number in range(50):
        guest.send({"type": "log", "text": f"line {number}"})
    guest.send({"type": "heartbeat", "tai64n": 1_001 * 10**9})
    turn(loop, guest, lambda: hostd.kept.tai64n)
    assert 5 <= sum("guest: line" in line for line in said) <= 10
    turn(loop, guest, lambda: guest.send({"type": "log", "text": "x"}) or any("left out" in line for line in said))


def test_a_flood_of_greetings_asks_and_tells_no_more_for_it(
    loop: Loop, guest: FakeGuest, hostd: Hostd, said: list[str]
) -> None:
    greet(loop, guest)
    for number in range(200):
        guest.send({"type": "hello", "name": f"n{number}"})
    guest.send({"type": "heartbeat", "tai64n": 1_001 * 10**9})
    turn(loop, guest, lambda: hostd.kept.tai64n)
    assert len(guest.of_type("resume")) <= service.GREETINGS[1] + 1
    assert sum("greets" in line for line in said) <= service.GREETINGS[1] + 1


@pytest.mark.parametrize("size", [(4 << 20) - 1, 4 << 20, (4 << 20) + 1, (16 << 20) - 1, 16 << 20, (16 << 20) + 1])
def test_a_large_request_is_an_error_and_not_an_end(
    loop: Loop, guest: FakeGuest, hostd: Hostd, tmp_path: Path, size: int
) -> None:
    greet(loop, guest)
    request = b"set=1\n" + b"\n".join([b"a=" + b"b" * 60] * (size // 63 + 1))[: size - 8] + b"\n\n"
    assert len(request) == size
    answer = in_thread(loop, guest, lambda: uapi(tmp_path / "uapi.sock", request))
    assert answer == ("listen_port=1\nerrno=0\n\n" if size <= service.LARGEST_UAPI else "errno=-90\n\n")
    assert in_thread(loop, guest, lambda: uapi(tmp_path / "uapi.sock", b"get=1\n\n")).endswith("errno=0\n\n")


def test_a_request_that_no_node_understands_does_not_reach_the_guest(
    loop: Loop, guest: FakeGuest, hostd: Hostd, tmp_path: Path
) -> None:
    greet(loop, guest)
    for odd in (b"\x01" * 1000, b"\xff", "\u20ac".encode()):
        assert in_thread(loop, guest, lambda odd=odd: uapi(tmp_path / "uapi.sock", b"set=1\n" + odd + b"\n\n")) == (
            "errno=-22\n\n"
        )


def test_an_answer_of_uapi_with_two_ends_is_an_error(
    loop: Loop, guest: FakeGuest, hostd: Hostd, tmp_path: Path
) -> None:
    greet(loop, guest)
    lie = {"text": "errno=0\n\nprivate_key=1\nerrno=0\n\n"}
    assert asked(loop, guest, lambda: uapi(tmp_path / "uapi.sock", b"get=1\n\n"), lie) == "errno=-71\n\n"


def test_a_poisoned_file_of_an_older_hostd_reaches_no_guest(
    loop: Loop, guest: FakeGuest, tmp_path: Path, baked: Any, notifier: RecordingNotifier, said: list[str]
) -> None:
    place = {"endpoint": "203.0.113.2:1", "last_handshake": 5.0}
    kept = {"format": 1, "peers": {"garbage": place, STRANGER: place, KEY: place}, "tai64n": YEAR_3000}
    (tmp_path / "peers.json").write_text(json.dumps(kept))
    made = Hostd(loop, service.Places("berlin", tmp_path, tmp_path, tmp_path), notifier, say=said.append)
    greet(loop, guest)
    resume = guest.of_type("resume")[0]
    assert (resume["tai64n"], resume["endpoints"]) == (0, {KEY: "203.0.113.2:1"})
    made.close()


def test_a_clock_that_is_set_is_told_at_once(
    loop: Loop, guest: FakeGuest, hostd: Hostd, monkeypatch: pytest.MonkeyPatch
) -> None:
    greet(loop, guest)
    wall = hostd.wall
    hostd._follow_clock()
    hostd.wall = lambda: wall() + 3600 * 10**9
    hostd._follow_clock()
    turn(loop, guest, lambda: guest.of_type("time"))
    assert guest.of_type("time")[0]["unix_ns"] == 4_600 * 10**9
