"""A host against its guest: any bytes are a frozen value or refused, and hostd and the next guest are unharmed."""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.fuzz.effort import effort
from tests.fuzz.test_parsers import damaged
from tests.unit.hostd.fakes import FakeGuest, turn
from tests.unit.hostd.reports import NOW, peer
from wgnode.hostd import guest as guest_module
from wgnode.hostd import said
from wgnode.hostd.notify import Notifier
from wgnode.hostd.places import Places
from wgnode.hostd.said import HOUR, Refused
from wgnode.hostd.service import Hostd
from wgnode.hostd.state import StateFile
from wgnode.image.layers import config_layer
from wgnode.io import address
from wgnode.io.loop import Loop
from wgnode.nodeconfig import LinkConfig, NodeConfig, PeerConfig, encode_key

KEYS = [encode_key(bytes([fill]) * 32) for fill in (1, 2, 9)]
"""Of two peers that the configuration has, and of a stranger."""
PEER = peer(KEYS[0])
HEALTH = {
    "format": 1,
    "live": "ab" * 32,
    "uptime": 3.5,
    "public_keys": KEYS[:1],
    "pid1": {"pid": 1, "exe": "/usr/bin/python3", "argv": ["x"]},
    "offloads": ["uso"],
    "counters": {"replay": 1},
    "peers": [PEER],
}
MESSAGES: list[dict[str, Any]] = [
    {"type": "hello", "name": "berlin", "version": "0.1.0", "error": None, "can": ["resume"], "endpoints": {}},
    {"type": "heartbeat", "tai64n": NOW},
    {"type": "log", "level": "warning", "text": "text"},
    {"type": "reply", "id": 1, "text": "listen_port=1\nerrno=0\n\n"},
    {"type": "reply", "id": 2, "health": HEALTH},
    {"type": "reply", "id": 3, "applied": "ab" * 32, "endpoints": {}},
    {"type": "reply", "id": 4, "restart": "why"},
]
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        NOW + HOUR + 1,
        32_503_680_000 * 10**9,
        1 << 200,
        float("nan"),
        float("inf"),
        1e300,
        "",
        "\ud800",
        "\x1b[2J",
        "a\n<3>b",
        "x" * 5000,
        "224.0.0.1:5",
        "[fe80::1%3]:0",
        "gate.example:5",
        "errno=0\n\nerrno=0\n\n",
        [],
        {},
        [[]],
        *KEYS,
    ]
) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@st.composite
def lies(draw: st.DrawFn) -> dict[str, Any]:
    """A message with something else in one to three of its places."""
    message = json.loads(json.dumps(draw(st.sampled_from(MESSAGES))))
    for _ in range(draw(st.integers(1, 3))):
        inside: Any = message
        while True:
            places: list[Any] = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
            if not places:
                break
            at = draw(st.sampled_from(places))
            deeper = inside[at]
            if not isinstance(deeper, dict | list) or draw(st.booleans()):
                inside[at] = draw(ODD)
                break
            inside = deeper
    return dict(message)


bodies = (
    st.binary(max_size=200)
    | lies().map(lambda message: json.dumps(message).encode())
    | st.sampled_from(MESSAGES).flatmap(lambda message: damaged(json.dumps(message).encode()))
)


@effort(400)
@given(bodies)
def test_any_bytes_are_a_frozen_value_or_refused(body: bytes) -> None:
    try:
        value = said.parse(body, NOW)
    except Refused as error:
        value = said.LogLine("info", str(error))
    assert_frozen(value)
    assert_harmless(value)


def assert_frozen(value: Any) -> None:
    assert is_dataclass(value)
    with pytest.raises(AttributeError):
        setattr(value, fields(value)[0].name, None)


def assert_harmless(value: Any) -> None:
    """All that is in it may be printed, counted and sent on."""
    if is_dataclass(value):
        for field in fields(value):
            inner = getattr(value, field.name)
            if isinstance(value, said.UapiText):
                assert inner == "" or (inner.index("\n\n") == len(inner) - 2 and inner.isascii())
            else:
                assert_harmless(inner)
    elif isinstance(value, dict | MappingProxyType):
        for key, inner in value.items():
            assert_harmless(key)
            assert_harmless(inner)
    elif isinstance(value, list | tuple | frozenset):
        for inner in value:
            assert_harmless(inner)
    elif isinstance(value, str):
        assert value.isprintable()
        assert len(value) <= said.LONGEST_LINE + 40
    else:
        assert value is None or (abs(value) < 1 << 81 and value == value)
    if isinstance(value, said.PeerPlace) and value.endpoint is not None:
        assert address.place(value.endpoint) == value.endpoint


@effort(100)
@given(st.binary(max_size=200) | damaged(json.dumps({"format": 1, "peers": {KEYS[0]: PEER}, "tai64n": NOW}).encode()))
def test_whatever_lies_in_the_state_file_is_judged_or_set_aside(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "peers.json").write_bytes(content)
        kept = StateFile(Path(directory), NOW, lambda line: None)
        assert 0 <= kept.tai64n <= kept.latest + HOUR
        for key, place in kept.peers.items():
            assert said.key(key) == key
            assert_harmless(place)


class Lying(RuleBasedStateMachine):
    """hostd between a guest that says anything and, after it, one that behaves."""

    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        links = [LinkConfig("52:54:00:00:00:01", ())] * 2
        peers = tuple(PeerConfig(f"p{fill}", (bytes([fill]) * 32,), ()) for fill in (1, 2))
        layer = self.directory / "config.cpio"
        layer.write_bytes(config_layer(NodeConfig("demo", "berlin", (b"p" * 32,), 1, (), *links, peers)))
        self.loop, self.said = Loop(), list[str]()
        self.guest = FakeGuest(self.directory)
        self.hostd = Hostd(
            self.loop,
            Places("berlin", self.directory, self.directory, self.directory),
            Notifier({}),
            say=self.said.append,
            wall=lambda: NOW,
        )
        turn(self.loop, self.guest, lambda: self.guest.connection)

    @rule(body=bodies)
    def say(self, body: bytes) -> None:
        self.send(body)

    @rule(message=lies())
    def answer(self, message: dict[str, Any]) -> None:
        """Whatever hostd asked, it gets this."""
        for asked in [one for one in self.guest.received if "id" in one]:
            self.guest.received.remove(asked)
            self.send(json.dumps({**message, "type": "reply", "id": asked["id"]}).encode())

    @rule(tai64n=st.integers(NOW - 2 * HOUR, NOW + 2 * HOUR) | st.just(32_503_680_000 * 10**9))
    def beat(self, tai64n: int) -> None:
        self.send(json.dumps({"type": "heartbeat", "tai64n": tai64n}).encode())

    @rule(
        key=st.sampled_from(KEYS),
        endpoint=st.sampled_from(["192.0.2.9:9", "224.0.0.1:5", "192.0.2.9:0", "[fe80::1%3]:9", "gate.example:5"]),
        last=st.integers(-7200, 7200),
    )
    def claim(self, key: str, endpoint: str, last: int) -> None:
        """Health in which only what it says is odd."""
        self.be_asked()
        peer = {**PEER, "public_key": key, "endpoint": endpoint, "last_handshake": NOW / 1e9 + last}
        self.answer({"health": {**HEALTH, "peers": [peer]}})

    @rule()
    def be_asked(self) -> None:
        self.hostd._poll_once()
        self.turn()

    @rule(piece=st.binary(max_size=40))
    def stammer(self, piece: bytes) -> None:
        """The stream is out of step: hostd begins anew, or waits for the rest of what it takes for a large message."""
        self.raw(piece + b"\xff" * 8)
        if not piece:
            turn(self.loop, self.guest, lambda: self.hostd.guest.connected_at is None)
        self.guest.restart()
        turn(self.loop, self.guest, lambda: self.guest.connection)

    @invariant()
    def it_keeps_only_what_may_be(self) -> None:
        if not hasattr(self, "hostd"):
            return
        kept = self.hostd.kept
        assert 0 <= kept.tai64n <= NOW + HOUR
        assert set(kept.peers) <= set(KEYS[:2])
        for place in kept.peers.values():
            assert_harmless(place)
            assert (place.last_handshake or 0) * 1e9 <= NOW + HOUR
        assert all(line.isprintable() and len(line) < said.LONGEST_LINE + 200 for line in self.said)
        assert not self.hostd.peers.named

    def send(self, body: bytes) -> None:
        self.raw(struct.pack(">I", len(body)) + body)

    def raw(self, data: bytes) -> None:
        assert self.guest.connection is not None
        self.guest.connection.sendall(data)
        self.turn()

    def turn(self) -> None:
        for _ in range(3):
            self.loop.run_once(0)
        self.guest.poll()

    def teardown(self) -> None:
        """The guest after it boots with what is so, and is believed."""
        if not hasattr(self, "hostd"):
            return
        self.guest.restart()
        turn(self.loop, self.guest, lambda: self.guest.connection)
        floor = self.hostd.kept.floor
        self.send(json.dumps(MESSAGES[0]).encode())
        turn(self.loop, self.guest, lambda: self.guest.of_type("resume"))
        resume = self.guest.of_type("resume")[0]
        assert (resume["unix_ns"], resume["tai64n"]) == (NOW, floor)
        assert set(resume["endpoints"]) <= set(KEYS[:2])
        turn(self.loop, self.guest, lambda: self.guest.of_type("health"))
        asked = self.guest.of_type("health")[-1]
        self.send(json.dumps({"type": "reply", "id": asked["id"], "health": HEALTH}).encode())
        turn(self.loop, self.guest, lambda: KEYS[0] in self.hostd.kept.peers)
        assert self.hostd.kept.peers[KEYS[0]].endpoint == PEER["endpoint"]
        self.hostd.close()
        self.guest.close()
        self.loop.close()
        shutil.rmtree(self.directory)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_module, "RECONNECT", 0.01)
    monkeypatch.setattr(guest_module, "RETRY", 0.01)


TestLying = Lying.TestCase
TestLying.settings = effort(25, stateful_step_count=20)
