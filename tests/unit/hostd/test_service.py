import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.hostd.fakes import FakeGuest, turn
from wgnode.hostd import client, service
from wgnode.hostd import guest as guest_module
from wgnode.hostd.notify import Notifier
from wgnode.hostd.pathmemory import PathMemory
from wgnode.hostd.places import Places
from wgnode.hostd.said import PeerPlace
from wgnode.hostd.service import Hostd
from wgnode.image.layers import config_layer, secrets_layer
from wgnode.io.loop import Loop
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig, encode_key

KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
STRANGER = encode_key(b"\7" * 32)
PEER = {
    "name": "cabin",
    "public_key": KEY,
    "endpoint": "203.0.113.2:51820",
    "last_handshake": 999.5,
    "rx_bytes": 1,
    "tx_bytes": 2,
}
PLACE = PeerPlace("203.0.113.9:1234", 900.0)
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


def node_config(endpoint: str | None) -> NodeConfig:
    """With one peer, at this endpoint."""
    links = [LinkConfig("52:54:00:00:00:01", ())] * 2
    return NodeConfig(
        "demo", "berlin", (b"p" * 32,), 51820, (), *links, (PeerConfig("cabin", (bytes(32),), (), endpoint),)
    )


@pytest.fixture
def baked(tmp_path: Path) -> tuple[NodeConfig, NodeSecrets]:
    """The layers on the host's disk."""
    config = node_config(None)
    secrets = NodeSecrets((b"s" * 32,))
    for name, data in (("config.cpio", config_layer(config)), ("secrets.cpio", secrets_layer(secrets))):
        (tmp_path / name).write_bytes(data)
    return config, secrets


@pytest.fixture
def hostd(
    loop: Loop,
    guest: FakeGuest,
    notifier: RecordingNotifier,
    said: list[str],
    tmp_path: Path,
    baked: tuple[NodeConfig, NodeSecrets],
) -> Iterator[Hostd]:
    places = Places("berlin", tmp_path, tmp_path, tmp_path)
    made = Hostd(loop, places, notifier, say=said.append, wall=lambda: 1_000 * 10**9)
    yield made
    made.close()


def greet(loop: Loop, guest: FakeGuest, **changes: Any) -> None:
    turn(loop, guest, lambda: guest.connection)
    guest.send({**HELLO, **changes})
    turn(loop, guest, lambda: guest.of_type("resume"))


def in_thread(loop: Loop, guest: FakeGuest, ask: Any) -> Any:
    """Run a blocking client beside the loop, answering what reaches the guest."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(ask()), daemon=True)
    thread.start()

    def answered() -> bool:
        for question in guest.of_type("health") + guest.of_type("uapi"):
            guest.received.remove(question)
            content = {"health": HEALTH} if question["type"] == "health" else {"text": "listen_port=1\nerrno=0\n\n"}
            guest.send({"type": "reply", "id": question["id"], **content})
        return bool(results)

    turn(loop, guest, answered)
    return results[0]


def test_the_guest_gets_the_time_when_it_greets(loop: Loop, guest: FakeGuest, hostd: Hostd) -> None:
    greet(loop, guest)
    expected = {"type": "resume", "unix_ns": 1_000 * 10**9, "tai64n": 0, "endpoints": {}, "path_mtu": {}}
    assert guest.of_type("resume") == [expected]


@pytest.mark.parametrize(("told", "set_again"), [(998.0, 1), (999.5, 0), (1000.5, 0), (1002.0, 1), (None, 0)])
def test_a_guest_whose_clock_was_set_late_gets_the_time_again(
    loop: Loop, guest: FakeGuest, hostd: Hostd, told: float | None, set_again: int
) -> None:
    """The host's clock shows 1000 s when it asks, and when it is answered."""
    greet(loop, guest)
    turn(loop, guest, lambda: guest.of_type("health"))
    guest.send({"type": "reply", "id": guest.of_type("health")[0]["id"], "health": {**HEALTH, "time": told}})
    hostd._ask_health(lambda _: hostd.guest.send({"type": "mark"}))
    turn(loop, guest, lambda: len(guest.of_type("health")) == 2)
    guest.send({"type": "reply", "id": guest.of_type("health")[1]["id"], "health": {**HEALTH, "time": 1000.0}})
    turn(loop, guest, lambda: guest.of_type("mark"))
    assert len(guest.of_type("time")) == set_again


def test_health_is_the_guests_with_the_status_of_the_link(loop: Loop, guest: FakeGuest, hostd: Hostd) -> None:
    greet(loop, guest)
    code, answer = in_thread(loop, guest, lambda: client.health(hostd.places.run / "hostd.sock"))
    assert code == client.RUNNING
    assert answer == {"name": "berlin", "status": "running", **HEALTH}
    code, answer = in_thread(loop, guest, lambda: client.wait(hostd.places.run / "hostd.sock", {"live": "v"}, 1.0))
    assert (code, answer["live"]) == (client.RUNNING, "v")


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
    turn(loop, guest, (tmp_path / "peers.json").exists)
    kept = json.loads((tmp_path / "peers.json").read_text())
    assert kept["peers"] == {KEY: {"endpoint": "203.0.113.2:51820", "last_handshake": 999.5}}


def test_a_guest_that_booted_anew_is_told_where_its_peers_were(loop: Loop, guest: FakeGuest, hostd: Hostd) -> None:
    greet(loop, guest)
    answer_health(loop, guest, HEALTH)
    turn(loop, guest, lambda: KEY in hostd.kept.peers)
    guest.send({"type": "heartbeat", "tai64n": 1_100 * 10**9})
    turn(loop, guest, lambda: hostd.kept.tai64n)
    guest.restart()
    greet(loop, guest)
    resume = guest.of_type("resume")[0]
    assert resume["endpoints"] == {KEY: "203.0.113.2:51820"}
    assert resume["tai64n"] > 1_100 * 10**9 > resume["unix_ns"], "even though the clock was set back"


def answer_health(loop: Loop, guest: FakeGuest, health: dict[str, Any]) -> None:
    turn(loop, guest, lambda: guest.of_type("health"))
    for question in guest.of_type("health"):
        guest.send({"type": "reply", "id": question["id"], "health": health})


def test_what_is_kept_survives_hostd(loop: Loop, guest: FakeGuest, hostd: Hostd, tmp_path: Path) -> None:
    hostd.kept.update({KEY: PLACE}, [KEY])
    greet(loop, guest)
    guest.send({"type": "heartbeat", "tai64n": 1_100 * 10**9})
    turn(loop, guest, lambda: hostd.kept.tai64n)
    assert guest.of_type("resume")[0]["endpoints"] == {KEY: "203.0.113.9:1234"}
    hostd.close()
    assert json.loads((tmp_path / "peers.json").read_text())["tai64n"] == 1_100 * 10**9


def apply(
    loop: Loop, guest: FakeGuest, hostd: Hostd, answer: dict[str, Any], health: dict[str, Any] | None = None
) -> tuple[int, dict[str, Any]]:
    """What `hostd apply` gives, when the guest answers like this."""
    results: list[tuple[int, dict[str, Any]]] = []
    path = hostd.places.run / "hostd.sock"
    threading.Thread(target=lambda: results.append(client.apply(path)), daemon=True).start()

    def answered() -> bool:
        for question in guest.of_type("health"):  # what there was to count, before it is too late
            guest.received.remove(question)
            guest.send({"type": "reply", "id": question["id"], "health": health or HEALTH})
        for question in guest.of_type("configure"):
            if answer and not question.get("done"):
                question["done"] = True
                guest.send({"type": "reply", "id": question["id"], **answer})
        return bool(results)

    turn(loop, guest, answered)
    return results[0]


def test_the_baked_layers_are_brought_to_the_running_node(
    loop: Loop, guest: FakeGuest, hostd: Hostd, baked: tuple[NodeConfig, NodeSecrets]
) -> None:
    greet(loop, guest, can=["configure"])
    _, secrets = baked
    layer = hostd.places.config
    layer.write_bytes(config_layer(config := node_config("gate.example:1")))
    answer = {"applied": config.digest, "endpoints": {KEY: "another.example:1"}}
    assert apply(loop, guest, hostd, answer) == (0, {"applied": config.digest})
    asked = guest.of_type("configure")[0]
    assert (asked["config"].encode(), asked["secrets"].encode()) == (config.to_json(), secrets.to_json())
    assert hostd.peers.named == {KEY: "gate.example:1"}, "names are resolved from now on, those of the layer"
    turn(loop, guest, lambda: len(guest.of_type("resume")) == 2)


def test_what_a_removed_device_has_sent_and_whose_its_address_was_is_told_afterwards(
    loop: Loop, guest: FakeGuest, hostd: Hostd
) -> None:
    phone = PeerConfig("alice/phone", (b"a" * 32,), ("10.1.0.130/32",))
    tablet = PeerConfig("bob/tablet", (b"b" * 32,), ("10.1.0.130/32",))
    before, after = (replace(node_config(None), devices=(device,)) for device in (phone, tablet))
    hostd.places.config.write_bytes(config_layer(before))
    greet(loop, guest, can=["configure"])
    counted = {"public_key": encode_key(b"a" * 32), "serial": 2, "rx_bytes": 500, "rx_packets": 4}
    health = {**HEALTH, "run": "abc", "applied": before.digest, "peers": [PEER, counted]}
    answer_health(loop, guest, health)
    turn(loop, guest, lambda: hostd.ledger.accounts()["accounts"])
    guest.received.clear()
    hostd.places.config.write_bytes(config_layer(after))
    last = {**health, "peers": [PEER, {**counted, "rx_bytes": 700}]}
    assert apply(loop, guest, hostd, {"applied": after.digest}, last)[0] == 0
    path = hostd.places.run / "hostd.sock"
    code, answer = in_thread(loop, guest, lambda: client.accounts(path))
    assert code == 0
    assert {one["name"]: (one["rx_bytes"], one["left"]) for one in answer["accounts"]} == {
        "cabin": (0, None),
        "alice/phone": (700, 1000.0),
        "bob/tablet": (0, None),
    }
    code, answer = in_thread(loop, guest, lambda: client.holders(path, "10.1.0.130"))
    assert (code, [one["name"] for one in answer["holdings"]]) == (0, ["alice/phone", "bob/tablet"])
    assert in_thread(loop, guest, lambda: client.holders(path, "nowhere"))[0] == 1


def test_a_node_that_can_not_be_changed_while_it_runs_is_said_to_need_a_restart(
    loop: Loop, guest: FakeGuest, hostd: Hostd, baked: tuple[NodeConfig, NodeSecrets]
) -> None:
    assert apply(loop, guest, hostd, {})[1]["restart"].startswith("the guest is ")
    greet(loop, guest)
    assert apply(loop, guest, hostd, {}) == (1, {"restart": "version 0.1.0 of the node can't be changed while it runs"})


def test_layers_that_are_damaged_are_not_applied(
    loop: Loop, guest: FakeGuest, hostd: Hostd, baked: tuple[NodeConfig, NodeSecrets]
) -> None:
    greet(loop, guest, can=["configure"])
    layer = hostd.places.config
    layer.write_bytes(layer.read_bytes()[:300])
    code, answer = apply(loop, guest, hostd, {})
    assert (code, answer["error"][:33]) == (1, "the baked layers can't be applied")
    assert not guest.of_type("configure")


def test_a_named_endpoint_is_resolved_and_set_once(
    loop: Loop, guest: FakeGuest, hostd: Hostd, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"gate.example:51820": ("192.0.2.7:51820",)}
    monkeypatch.setattr(service.endpoints, "resolve", answers.__getitem__)
    hostd.places.config.write_bytes(config_layer(node_config("gate.example:51820")))
    greet(loop, guest, endpoints={KEY: "another.example:51820"})
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


def test_a_person_reads_of_an_older_node_what_it_tells() -> None:
    answer = {"name": "berlin", "status": "running", "error": None, "uptime": 5.0, "peers": [{"public_key": KEY}]}
    assert f"{KEY}: None, handshake never" in client.describe(answer)


PATH = {"size": 1440, "evidence": "probe", "since": 990.0, "family": 4, "own": "172.31.255.254"}


def test_what_a_guest_found_of_a_path_is_offered_to_the_next_one(
    loop: Loop, guest: FakeGuest, hostd: Hostd, tmp_path: Path
) -> None:
    greet(loop, guest)
    assert guest.of_type("resume")[0]["path_mtu"] == {}
    stranger = {**PEER, "public_key": STRANGER, "path_mtu": PATH}
    answer_health(loop, guest, {**HEALTH, "peers": [{**PEER, "path_mtu": PATH}, stranger]})
    turn(loop, guest, lambda: hostd.paths.offered([KEY]))
    hostd.close()
    again = PathMemory(tmp_path, 1_000 * 10**9, print)
    assert again.offered([KEY, STRANGER]) == {KEY: [{"family": 4, "own": PATH["own"], "size": 1440, "at": 990.0}]}


def test_a_guest_that_starts_anew_is_told_what_passed(
    loop: Loop, guest: FakeGuest, hostd: Hostd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest_module, "RECONNECT", 0.02)
    greet(loop, guest)
    answer_health(loop, guest, {**HEALTH, "peers": [{**PEER, "path_mtu": PATH}]})
    turn(loop, guest, lambda: hostd.paths.offered([KEY]))
    guest.restart()
    greet(loop, guest)
    (told,) = guest.of_type("resume")
    assert told["path_mtu"] == {KEY: [{"family": 4, "own": PATH["own"], "size": 1440, "at": 990.0}]}


@pytest.mark.parametrize(
    ("can", "peer", "answer", "replied"),
    [
        (["probe"], None, {"health": HEALTH}, {"probing": True}),
        (["probe"], KEY, {"health": HEALTH}, {"probing": True}),
        (["probe"], KEY, {"error": "no session"}, {"error": "no session"}),
        (["probe"], STRANGER, None, {"error": f"no peer of this gateway has the key {STRANGER}"}),
        (["probe"], 7, None, {"error": "no peer of this gateway has the key 7"}),
        ([], None, None, {"error": "version 0.1.0 of the node can't be asked to probe"}),
    ],
)
def test_a_search_is_asked_of_a_guest_that_knows_how_for_peers_that_there_are(
    loop: Loop, guest: FakeGuest, hostd: Hostd, can: list[str], peer: Any, answer: Any, replied: dict[str, Any]
) -> None:
    greet(loop, guest, can=can)
    guest.send({"type": "heartbeat"})
    replies: list[dict[str, Any]] = []
    fresh = {"fresh": True} if peer else {}
    hostd.questions.asked({"type": "probe", "peer": peer, **fresh}, replies.append)
    if answer:
        turn(loop, guest, lambda: guest.of_type("probe"))
        (question,) = guest.of_type("probe")
        assert {name: question[name] for name in ("peer", "fresh") if name in question} == {"peer": peer, **fresh}
        guest.send({"type": "reply", "id": question["id"], **answer})
    turn(loop, guest, lambda: replies)
    assert replies == [replied]
