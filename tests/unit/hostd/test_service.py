import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.hostd.fakes import FakeGuest, turn
from wgnode.hostd import client, service
from wgnode.hostd.notify import Notifier
from wgnode.hostd.service import Hostd, Places
from wgnode.io.loop import Loop

KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
PEER = {
    "name": "cabin",
    "public_key": KEY,
    "endpoint": "203.0.113.2:51820",
    "last_handshake": 999.5,
    "rx_bytes": 1,
    "tx_bytes": 2,
}
HEALTH = {"error": None, "uptime": 5.0, "loaded": "l", "live": "v", "peers": [PEER]}
HELLO = {"type": "hello", "name": "berlin", "version": "0.1.0", "error": None, "endpoints": {}}


class RecordingNotifier(Notifier):
    def __init__(self) -> None:
        super().__init__({})
        self.sent: list[str] = []

    def _send(self, text: str) -> None:
        self.sent.append(text)


@pytest.fixture
def notifier() -> RecordingNotifier:
    return RecordingNotifier()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def hostd(
    loop: Loop, guest: FakeGuest, notifier: RecordingNotifier, said: list[str], tmp_path: Path
) -> Iterator[Hostd]:
    made = Hostd(loop, Places("berlin", tmp_path, tmp_path), notifier, say=said.append, wall=lambda: 1_000 * 10**9)
    yield made
    made.close()


def greet(loop: Loop, guest: FakeGuest, **changes: Any) -> None:
    turn(loop, guest, lambda: guest.connection)
    guest.send({**HELLO, **changes})
    turn(loop, guest, lambda: guest.of_type("time"))


def in_thread(loop: Loop, guest: FakeGuest, ask: Any) -> Any:
    """Run a blocking client beside the loop, answering what reaches the guest."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(ask()), daemon=True)
    thread.start()

    def answered() -> bool:
        for question in guest.of_type("health") + guest.of_type("uapi"):
            guest.received.remove(question)
            content = {"health": HEALTH} if question["type"] == "health" else {"text": f"for {question['text']}"}
            guest.send({"type": "reply", "id": question["id"], **content})
        return bool(results)

    turn(loop, guest, answered)
    return results[0]


def test_the_guest_gets_the_time_when_it_greets(loop: Loop, guest: FakeGuest, hostd: Hostd) -> None:
    greet(loop, guest)
    assert guest.of_type("time")[0] == {"type": "time", "unix_ns": 1_000 * 10**9}


def test_health_is_the_guests_with_the_status_of_the_link(loop: Loop, guest: FakeGuest, hostd: Hostd) -> None:
    greet(loop, guest)
    code, answer = in_thread(loop, guest, lambda: client.health(hostd.places.run / "hostd.sock"))
    assert code == client.RUNNING
    assert answer == {"name": "berlin", "status": "running", **HEALTH}


def test_health_without_a_guest_says_so_with_another_exit_code(loop: Loop, guest: FakeGuest, hostd: Hostd) -> None:
    code, answer = in_thread(loop, guest, lambda: client.health(hostd.places.run / "hostd.sock"))
    assert (code, answer["status"]) in ((1, "stopped"), (1, "booting"))
    assert answer["error"]


def test_health_without_hostd_is_told_apart(tmp_path: Path) -> None:
    code, answer = client.health(tmp_path / "none.sock")
    assert (code, answer["status"]) == (3, "unreachable")


def uapi(path: Path, request: bytes) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(request)
        return connection.recv(65536).decode()


def test_many_uapi_clients_are_served_over_the_one_port(loop: Loop, guest: FakeGuest, hostd: Hostd) -> None:
    greet(loop, guest)
    results: list[str] = []
    path = hostd.places.run / "uapi.sock"
    ask = lambda: results.append(uapi(path, b"get=1\n\n"))  # noqa: E731
    threads = [threading.Thread(target=ask, daemon=True) for _ in range(5)]
    for thread in threads:
        thread.start()
    turn(loop, guest, lambda: len(guest.of_type("uapi")) == 5)
    for question in guest.of_type("uapi"):
        guest.send({"type": "reply", "id": question["id"], "text": f"listen_port={question['id']}\nerrno=0\n\n"})
    turn(loop, guest, lambda: len(results) == 5)
    assert len(set(results)) == 5


def test_uapi_without_a_guest_is_no_such_device(loop: Loop, guest: FakeGuest, hostd: Hostd) -> None:
    path = hostd.places.run / "uapi.sock"
    assert in_thread(loop, guest, lambda: uapi(path, b"get=1\n\n")) == "errno=-19\n\n"


def test_the_guests_log_lines_are_printed_with_their_level(
    loop: Loop, guest: FakeGuest, hostd: Hostd, said: list[str]
) -> None:
    greet(loop, guest)
    guest.send({"type": "log", "level": "warning", "text": "no watchdog"})
    turn(loop, guest, lambda: "<4>guest: no watchdog" in said)


def test_handshakes_and_endpoints_are_kept(loop: Loop, guest: FakeGuest, hostd: Hostd, tmp_path: Path) -> None:
    greet(loop, guest)
    in_thread(loop, guest, lambda: client.health(tmp_path / "hostd.sock"))
    kept = json.loads((tmp_path / "peers.json").read_text())
    assert kept["peers"] == {KEY: {"endpoint": "203.0.113.2:51820", "last_handshake": 999.5}}


def test_a_guest_that_booted_anew_is_told_where_its_peers_were(loop: Loop, guest: FakeGuest, hostd: Hostd) -> None:
    greet(loop, guest)
    answer_health(loop, guest, HEALTH)
    turn(loop, guest, lambda: KEY in hostd.kept.peers)
    assert not guest.of_type("uapi"), "it knew the endpoint itself"
    guest.restart()
    greet(loop, guest)
    answer_health(loop, guest, {**HEALTH, "peers": [{**PEER, "endpoint": None, "last_handshake": None}]})
    turn(loop, guest, lambda: guest.of_type("uapi"))
    assert "endpoint=203.0.113.2:51820\n" in guest.of_type("uapi")[0]["text"]


def answer_health(loop: Loop, guest: FakeGuest, health: dict[str, Any]) -> None:
    turn(loop, guest, lambda: guest.of_type("health"))
    for question in guest.of_type("health"):
        guest.send({"type": "reply", "id": question["id"], "health": health})


def test_a_new_guest_is_told_where_its_peers_were(loop: Loop, guest: FakeGuest, hostd: Hostd) -> None:
    hostd.kept.update({KEY: {"endpoint": "203.0.113.9:1234", "last_handshake": 900.0}})
    greet(loop, guest)
    turn(loop, guest, lambda: guest.of_type("health"))
    unmet = {**PEER, "endpoint": None, "last_handshake": None}
    for question in guest.of_type("health"):
        guest.send({"type": "reply", "id": question["id"], "health": {**HEALTH, "peers": [unmet]}})
    turn(loop, guest, lambda: guest.of_type("uapi"))
    assert "endpoint=203.0.113.9:1234" in guest.of_type("uapi")[0]["text"]


def test_a_named_endpoint_is_resolved_and_set_once(
    loop: Loop, guest: FakeGuest, hostd: Hostd, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"gate.example:51820": "192.0.2.7:51820"}
    monkeypatch.setattr(service.endpoints, "resolve", answers.__getitem__)
    greet(loop, guest, endpoints={KEY: "gate.example:51820"})
    turn(loop, guest, lambda: guest.of_type("uapi"))
    expected = f"set=1\npublic_key={'00' * 32}\nupdate_only=true\nendpoint=192.0.2.7:51820\n\n"
    assert [question["text"] for question in guest.of_type("uapi")] == [expected]


def test_the_watchdog_is_fed_for_a_lively_guest_or_none_but_not_for_a_silent_one(
    loop: Loop, guest: FakeGuest, hostd: Hostd, notifier: RecordingNotifier
) -> None:
    def fed() -> bool:
        notifier.sent.clear()
        hostd._tick()
        return "WATCHDOG=1" in notifier.sent

    assert notifier.sent.count("READY=1") == 1
    assert fed(), "no machine: nothing to watch"
    turn(loop, guest, lambda: guest.connection)
    link = hostd.guest
    link.connected_at = loop.now() - service.BOOT_LIMIT + 1
    assert fed(), "still booting"
    link.connected_at = loop.now() - service.BOOT_LIMIT - 1
    assert not fed(), "stuck while booting"
    greet(loop, guest)
    assert fed()
    link.alive_at = loop.now() - 11
    assert not fed(), "silent"


def test_a_question_that_is_none_is_answered_with_an_error(loop: Loop, guest: FakeGuest, hostd: Hostd) -> None:
    path = hostd.places.run / "hostd.sock"
    for question in (b"[]\n", b"{\n"):
        assert "error" in json.loads(in_thread(loop, guest, lambda question=question: uapi(path, question)))
    assert "unknown" in in_thread(loop, guest, lambda: client.ask(path, {"type": "x"}))["error"]


def test_what_a_person_reads_names_the_peer_and_the_time_since() -> None:
    text = client.describe({"name": "berlin", "status": "running", **HEALTH}, now=1009.5)
    assert text.splitlines()[0] == "berlin: running"
    assert "cabin: 203.0.113.2:51820, handshake 10 s ago" in text
