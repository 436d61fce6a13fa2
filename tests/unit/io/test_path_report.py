"""What is told of ways to peers, and that the host takes it."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.fake_platform import FakePlatform, SilentTun
from tests.unit.io.test_paths import hello
from tests.unit.io.ways import World
from wgnode.dataplane.plain import PlainPlane
from wgnode.dataplane.plain_io import PlainIO
from wgnode.hostd import parts, said
from wgnode.io import paths
from wgnode.io.loop import Loop
from wgnode.io.node import new_device
from wgnode.io.path_report import device_paths, path_mtu
from wgnode.io.shell import Shell
from wgnode.io.told_socket import LONGEST, ToldListener
from wgnode.nodeconfig import encode_key
from wgnode.pathmtu.known import Evidence

KEY = encode_key(bytes(32))
WALL = 1_700_000_000.0


def test_a_way_is_told_with_its_value_evidence_age_and_history() -> None:
    world = World(a_to_b=1400)
    world.a.at = world.a.at._replace(source="198.51.100.2")
    hello(world.a)
    world.run(1.0)
    hello(world.b)
    (peer,) = world.b.device.peers
    told = path_mtu(world.b.paths, peer, world.clock.now, 5000.0)
    assert told is not None
    assert told["since"] == pytest.approx(5000.0 - 0.9, abs=0.1)
    assert (told["size"], told["evidence"], told["family"], told["own"]) == (1500, "probe", 4, "198.51.100.2")
    assert (told["inner"], told["state"], told["unmeasured"]) == (1440, "search_complete", None)
    assert told["history"][0] == {"size": 1280, "evidence": "unknown", "since": told["history"][0]["since"]}
    judged = parts.path_mtu(json.loads(json.dumps(told)))
    assert {name: told[name] for name in judged} == judged
    assert {"size", "evidence", "since", "family", "own", "state", "history"} <= set(judged)


def test_of_a_peer_without_a_session_nothing_is_told() -> None:
    world = World()
    told = device_paths(world.a.device, world.a.paths, 0.0, 0.0)
    assert [each["path_mtu"] for each in told["peers"]] == [None]
    assert told["searching"]
    assert not device_paths(world.a.device, None, 0.0, 0.0)["searching"]


def test_what_is_told_is_believed_by_the_host_and_worth_keeping() -> None:
    world = World(a_to_b=1440)
    hello(world.a)
    world.run(1.0)
    (peer,) = world.a.device.peers
    told = {"public_key": KEY, "path_mtu": path_mtu(world.a.paths, peer, world.clock.now, WALL)}
    health = said.report(json.loads(json.dumps({"peers": [told]})), int(WALL * 1e9))
    assert health.report["peers"] == [told]
    (kept,) = health.learned
    assert (kept.size, kept.family, kept.own) == (1440, 4, "")


def test_a_search_anew_finds_what_has_grown_without_a_word() -> None:
    world = World(a_to_b=1340)
    hello(world.a)
    world.run(1.0)
    world.a.mtu = 1440
    world.run(1.0)
    (peer,) = world.a.device.peers
    assert world.a.known.size == 1340
    assert world.a.paths.again(b"n" * 32, world.clock.now) == 0
    assert world.a.paths.again(peer.public_keys[0], world.clock.now) == 1
    assert world.a.known.evidence is Evidence.UNKNOWN
    world.a.flush()
    world.run(1.0)
    assert (world.a.known.size, world.a.known.evidence) == (1440, Evidence.PROBE)
    told = path_mtu(world.a.paths, peer, world.clock.now, WALL)
    assert told is not None
    assert told["why"] == "asked"
    assert world.a.paths.again(None, world.clock.now) == 1


def test_nobody_is_searched_whom_nobody_can_ask() -> None:
    world = World()
    world.a.device.replace_allowed_ips(world.a.device.peers[0], ["10.0.0.0/8"])
    hello(world.a)
    world.run(1.0)
    assert world.a.paths.again(None, world.clock.now) == 0


@pytest.mark.parametrize(("text", "searches"), [("", True), ("on", True), ("off", False)])
def test_a_search_is_wanted_unless_it_is_said_otherwise(text: str, searches: bool) -> None:
    assert paths.wanted({"WGNODE_PATH_MTU": text}) is searches
    assert paths.wanted({})
    with pytest.raises(ValueError, match="write off"):
        paths.wanted({"WGNODE_PATH_MTU": "no"})


def test_a_line_of_question_is_answered_by_a_line_of_json(tmp_path: Path) -> None:
    loop = Loop()
    device = new_device(PlainPlane())
    shell = Shell(loop, device, SilentTun(), FakePlatform(), on_gone=lambda: None, packet_io=PlainIO)
    key = encode_key(device.add_peer([bytes([7]) * 32]).public_key)
    listener = ToldListener(loop, shell, tmp_path)
    assert listener.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        ToldListener(loop, shell, tmp_path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(listener.path))
        client.sendall(b"path-mtu\nwhat\n")
        answers = b""
        while answers.count(b"\n") < 2:
            loop.run_once(1.0)
            client.setblocking(False)
            try:
                answers += client.recv(65536)
            except BlockingIOError:
                continue
        first, second = (json.loads(line) for line in answers.splitlines())
        assert (first["format"], len(first["peers"]), first["searching"]) == (1, 1, False)
        assert "what" in second["error"]
        for word in ("probe", f"probe {key}", "probe x", f"probe {KEY}"):
            client.sendall(f"{word}\n".encode())
        answers = b""
        while answers.count(b"\n") < 4:
            loop.run_once(1.0)
            try:
                answers += client.recv(65536)
            except BlockingIOError:
                continue
        assert [next(iter(json.loads(line))) for line in answers.splitlines()] == ["probing"] * 2 + ["error"] * 2
        client.sendall(bytes(LONGEST + 1))
        for _ in range(5):
            loop.run_once(0.1)
        assert client.recv(1) == b"", "who asks at such length is not listened to"
    listener.close()
    assert not listener.path.exists()
    shell.close()
    loop.close()
