"""The gateway's end of the control channel against hostd's, over a socket pair in place of the port."""

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.fake_platform import FakePlatform
from wgnode.appliance import control as control_module
from wgnode.appliance.control import Control
from wgnode.appliance.heard import Learned
from wgnode.appliance.log import Log
from wgnode.io.accept import Acceptor
from wgnode.io.control import LARGEST_FRAME, Channel, Decoder, FrameError, Message, encode
from wgnode.io.loop import Loop
from wgnode.platform.linux import port as port_module
from wgnode.platform.linux.port import VirtioPort, find_port


class Answers:
    def __init__(self) -> None:
        self.begun: list[tuple[int, dict[str, str]]] = []
        self.error: str | None = None

    def heartbeat(self) -> dict[str, Any]:
        return {"tai64n": 7}

    def begin(
        self,
        floor: int = 0,
        endpoints: Mapping[str, str] | None = None,
        learned: Mapping[str, Sequence[Learned]] | None = None,
    ) -> None:
        self.learned = dict(learned or {})
        self.begun.append((floor, dict(endpoints or {})))
        self.error = "no port" if floor == 13 else None

    def configure(self, config: str, secrets: str, reply: Callable[[dict[str, Any]], None]) -> None:
        reply({"applied": f"{config} with {secrets}"})

    def probe(self, peer: str | None, reply: Callable[[dict[str, Any]], None], fresh: bool) -> None:
        reply({"error": f"no way to {peer}{' anew' if fresh else ''}"})

    def uapi(self, text: str, reply: Callable[[str], None]) -> None:
        reply(f"answer to {text}")

    def health(self, reply: Callable[[dict[str, Any]], None]) -> None:
        reply({"live": "digest"})

    def hello(self) -> dict[str, Any]:
        return {"name": "berlin"} if self.error is None else {"name": "berlin", "error": self.error}


class Host:
    """The other end of the port."""

    def __init__(self, loop: Loop, end: socket.socket, platform: FakePlatform) -> None:
        self.loop, self.end, self.decoder, self.platform = loop, end, Decoder(), platform
        self.received: list[Message] = []

    def send(self, data: bytes) -> None:
        """All of it, while the gateway's loop turns."""
        left = memoryview(data)
        while left:
            with contextlib.suppress(BlockingIOError):
                left = left[self.end.send(left) :]
            self.loop.run_once(0)

    def wait_for(self, kind: str) -> Message:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            self.loop.run_once(0.01)
            with contextlib.suppress(BlockingIOError):
                self.received += self.decoder.feed(self.end.recv(65536))
            for message in self.received:
                if message["type"] == kind:
                    self.received.remove(message)
                    return message
        raise AssertionError(f"no {kind}")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    descriptor = os.open(tmp_path / "console", os.O_RDWR | os.O_CREAT)
    yield Log(descriptor)
    os.close(descriptor)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, log: Log, answers: Answers) -> Iterator[Host]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    monkeypatch.setattr(port_module, "find_port", lambda: Path("/port"))
    monkeypatch.setattr(port_module.os, "open", lambda *_: ours.fileno())
    monkeypatch.setattr(control_module, "HEARTBEAT", 0.02)
    loop = Loop()
    platform = FakePlatform(control=VirtioPort)
    Control(loop, log, answers, platform)
    yield Host(loop, theirs, platform)
    theirs.close()
    ours.close()
    loop.close()


def test_the_gateway_greets_and_shows_signs_of_life(host: Host) -> None:
    assert host.wait_for("hello") == {"type": "hello", "name": "berlin"}
    assert host.wait_for("heartbeat")["tai64n"] == 7
    host.wait_for("heartbeat")


def test_the_node_begins_with_what_the_host_remembers(
    host: Host, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    host.platform.set_clock = lambda ns: taken.append(ns) or 0.0  # type: ignore[func-returns-value]
    host.wait_for("hello")
    assert not answers.begun
    host.end.sendall(encode({"type": "resume", "unix_ns": 123, "tai64n": 99, "endpoints": {"key": "192.0.2.1:1"}}))
    host.wait_for("heartbeat")
    host.wait_for("heartbeat")
    assert (taken, answers.begun) == ([123], [(99, {"key": "192.0.2.1:1"})])
    assert not [message for message in host.received if message["type"] == "hello"]


def test_a_node_that_can_not_begin_greets_again_and_says_why(host: Host) -> None:
    host.wait_for("hello")
    host.end.sendall(encode({"type": "resume", "unix_ns": "?", "tai64n": 13, "endpoints": {}}))
    assert host.wait_for("hello")["error"] == "no port"


def test_without_a_word_of_the_host_the_node_begins_after_a_while(
    monkeypatch: pytest.MonkeyPatch, answers: Answers, log: Log
) -> None:
    monkeypatch.setattr(port_module, "find_port", lambda: None)
    monkeypatch.setattr(control_module, "PATIENCE", 0.05)
    loop = Loop()
    Control(loop, log, answers, FakePlatform(control=VirtioPort))
    assert not answers.begun
    deadline = time.monotonic() + 10
    while not answers.begun and time.monotonic() < deadline:
        loop.run_once(0.01)
    assert answers.begun == [(0, {})]
    loop.close()


def test_a_new_configuration_is_answered_with_what_became_of_it(host: Host) -> None:
    host.wait_for("hello")
    host.end.sendall(encode({"type": "configure", "id": 3, "config": "C", "secrets": "S"}))
    assert host.wait_for("reply") == {"type": "reply", "id": 3, "applied": "C with S"}


@pytest.mark.parametrize(
    ("odd", "begun"),
    [
        ({"tai64n": "x"}, (0, {"key": "192.0.2.1:1"})),
        ({"tai64n": None}, (0, {"key": "192.0.2.1:1"})),
        ({"tai64n": [1]}, (0, {"key": "192.0.2.1:1"})),
        ({"tai64n": True}, (0, {"key": "192.0.2.1:1"})),
        ({"tai64n": -5}, (0, {"key": "192.0.2.1:1"})),
        ({"tai64n": 1.5}, (0, {"key": "192.0.2.1:1"})),
        ({"tai64n": (1 << 32) * 10**9 - 1}, ((1 << 32) * 10**9 - 1, {"key": "192.0.2.1:1"})),
        ({"tai64n": (1 << 32) * 10**9}, (0, {"key": "192.0.2.1:1"})),
        ({"tai64n": 32_503_680_000 * 10**9}, (0, {"key": "192.0.2.1:1"})),
        ({"unix_ns": 10**30}, (99, {"key": "192.0.2.1:1"})),
        ({"unix_ns": None}, (99, {"key": "192.0.2.1:1"})),
        ({"endpoints": None}, (99, {})),
        ({"endpoints": [1]}, (99, {})),
        ({"path_mtu": [1]}, (99, {"key": "192.0.2.1:1"})),
        ({"endpoints": {"a": 1, "b": None, "c": "192.0.2.3:3", "d": "x" * 100}}, (99, {"c": "192.0.2.3:3"})),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_bad_entry_of_what_the_host_remembers_costs_no_other(
    host: Host,
    answers: Answers,
    monkeypatch: pytest.MonkeyPatch,
    odd: dict[str, Any],
    begun: tuple[int, dict[str, str]],
) -> None:
    host.platform.set_clock = lambda _: 0.0
    host.wait_for("hello")
    memory = {"unix_ns": 123, "tai64n": 99, "endpoints": {"key": "192.0.2.1:1"}}
    host.end.sendall(encode({"type": "resume", **memory, **odd}))
    if begun[0] <= 99:
        assert "skipped" in host.wait_for("log")["text"]
    host.wait_for("heartbeat")
    host.wait_for("heartbeat")
    assert answers.begun == [begun]


SIZE = {"family": 4, "own": "192.0.2.1", "size": 1440, "at": 5.0}


def test_sizes_of_paths_that_the_host_remembers_are_taken_and_bad_ones_cost_no_other(
    host: Host, answers: Answers
) -> None:
    host.wait_for("hello")
    odd = [7, None, {}, *({**SIZE, **each} for each in ({"family": 5}, {"family": True}, {"own": 7}, {"size": "1440"}))]
    odd += [{**SIZE, "size": size} for size in (67, 65576, True)]
    told = {"a": [*odd, SIZE], "b": 7, "c": [SIZE, {**SIZE, "size": 1280, "family": 6}], "d": odd, "e" * 65: [SIZE]}
    host.end.sendall(encode({"type": "resume", "unix_ns": 5, "path_mtu": told}))
    host.platform.set_clock = lambda _: 0.0
    assert "skipped: 22 sizes of paths" in host.wait_for("log")["text"]
    here = Learned(4, "192.0.2.1", 1440)
    assert answers.learned == {"a": (here,), "c": (here, Learned(6, "192.0.2.1", 1280))}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"type":[]}',
        b'{"type":"time"}',
        b'{"type":"time","unix_ns":1e999}',
        b'{"type":"time","unix_ns":-1}',
        b'{"type":"uapi","id":[],"text":"get=1"}',
        b'{"type":"uapi","id":1,"text":7}',
        b'{"type":"uapi","id":1,"text":"\\ud800"}',
        b'{"type":"configure","id":1,"config":"C"}',
        b'{"type":"x","a":' + b"[" * 90_000,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_no_message_of_the_host_ends_the_gateway(host: Host, body: bytes) -> None:
    host.wait_for("hello")
    host.end.sendall(struct.pack(">I", len(body)) + body)
    assert "not understood" in host.wait_for("log")["text"]
    host.end.sendall(encode({"type": "uapi", "id": 7, "text": "get=1"}))
    assert host.wait_for("reply")["id"] == 7


def test_a_clock_that_can_not_be_set_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(_: int) -> float:
        raise OSError(22, "Invalid argument")

    host.platform.set_clock = refuses
    host.wait_for("hello")
    host.end.sendall(encode({"type": "time", "unix_ns": 5}))
    assert "can't be set" in host.wait_for("log")["text"]


@pytest.mark.parametrize("below", [1, 0])
def test_a_request_up_to_the_limit_is_answered(host: Host, answers: Answers, below: int) -> None:
    answers.uapi = lambda text, reply: reply(f"{len(text)} bytes")  # type: ignore[method-assign]
    host.wait_for("hello")
    size = LARGEST_FRAME - len('{"type":"uapi","text":"","id":7}') - below
    host.send(encode({"type": "uapi", "text": "a" * size, "id": 7}))
    assert host.wait_for("reply") == {"type": "reply", "id": 7, "text": f"{size} bytes"}


def test_a_request_beyond_the_limit_is_refused_at_both_ends_and_ends_neither(host: Host) -> None:
    """hostd does not send one; whoever claims one is out of step, so the channel begins anew."""
    host.wait_for("hello")
    with pytest.raises(FrameError, match=f"the limit is {LARGEST_FRAME}"):
        encode({"type": "uapi", "text": "a" * (LARGEST_FRAME + 1 - len('{"type":"uapi","text":"","id":7}')), "id": 7})
    host.send(struct.pack(">I", LARGEST_FRAME + 1))
    host.wait_for("hello")
    host.send(encode({"type": "uapi", "id": 8, "text": "get=1"}))
    assert host.wait_for("reply") == {"type": "reply", "id": 8, "text": "answer to get=1"}


@pytest.mark.parametrize("below", [1, 0, -1])
def test_an_answer_that_fits_no_frame_is_told(host: Host, answers: Answers, below: int) -> None:
    host.wait_for("hello")
    size = LARGEST_FRAME - len('{"type":"reply","id":7,"text":""}') - below
    answers.uapi = lambda _, reply: reply("a" * size)  # type: ignore[method-assign]
    host.end.sendall(encode({"type": "uapi", "id": 7, "text": "get=1"}))
    reply = host.wait_for("reply")
    assert len(reply.get("text", "")) == (size if below >= 0 else 0)
    assert ("error" in reply) is (below < 0)


def test_lines_from_before_the_host_came_are_told_in_order(host: Host, log: Log) -> None:
    log.info("first")
    log.warning("second")
    told = [host.wait_for("log"), host.wait_for("log")]
    assert [(line["level"], line["text"]) for line in told] == [("info", "first"), ("warning", "second")]


def test_questions_are_answered_with_their_id(host: Host) -> None:
    host.wait_for("hello")
    host.end.sendall(encode({"type": "uapi", "id": 7, "text": "get=1"}) + encode({"type": "health", "id": 8}))
    assert host.wait_for("reply") == {"type": "reply", "id": 7, "text": "answer to get=1"}
    assert host.wait_for("reply") == {"type": "reply", "id": 8, "health": {"live": "digest"}}


def test_a_search_is_asked_for_by_key_or_for_all(host: Host) -> None:
    host.wait_for("hello")
    for number, odd in enumerate((7, "x" * 65, ["a"])):
        host.end.sendall(encode({"type": "probe", "id": number, "peer": odd}))
        assert "a probe of no peer" in host.wait_for("log")["text"]
    for number, (asked, peer) in enumerate((({"peer": "abc"}, "abc"), ({"peer": None}, None), ({}, None))):
        host.end.sendall(encode({"type": "probe", "id": number, **asked}))
        assert host.wait_for("reply") == {"type": "reply", "id": number, "error": f"no way to {peer}"}
    host.end.sendall(encode({"type": "probe", "id": 9, "fresh": True}))
    assert host.wait_for("reply")["error"] == "no way to None anew"


def test_the_hosts_time_is_taken(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    host.platform.set_clock = lambda ns: taken.append(ns) or 0.0  # type: ignore[func-returns-value]
    host.wait_for("hello")
    host.end.sendall(encode({"type": "time", "unix_ns": 123}) + encode({"type": "time", "unix_ns": "no"}))
    host.wait_for("heartbeat")
    host.wait_for("heartbeat")
    assert taken == [123]


def test_a_message_of_a_newer_host_is_ignored(host: Host) -> None:
    host.wait_for("hello")
    host.end.sendall(encode({"type": "from the future"}) + encode({"type": "hello"}))
    host.wait_for("hello")


def test_the_console_has_every_line_with_its_level(log: Log, tmp_path: Path) -> None:
    log.info("fine")
    log.error("not fine")
    lines = (tmp_path / "console").read_text().splitlines()
    assert lines[0].endswith(" fine")
    assert lines[1].endswith("error: not fine")


def test_a_console_that_nobody_reads_does_not_hold_up_the_node() -> None:
    reader, writer = os.pipe()
    log = Log(writer)
    for _ in range(3000):
        log.info("x" * 100)
    os.set_blocking(reader, False)
    while True:
        try:
            os.read(reader, 65536)
        except BlockingIOError:
            break
    log.info("after")
    found = os.read(reader, 65536).decode().splitlines()
    assert found[0].endswith("lines are missing here")
    assert found[1].endswith("after")
    os.close(reader)
    os.close(writer)


def test_a_console_that_is_only_slow_gets_every_line_whole() -> None:
    reader, writer = os.pipe()
    found = bytearray()

    def read_slowly() -> None:
        while piece := os.read(reader, 4096):
            found.extend(piece)
            time.sleep(0.0005)

    thread = threading.Thread(target=read_slowly)
    thread.start()
    log = Log(writer)
    for number in range(2000):
        log.info(f"{number} {'x' * 100}")
    os.close(writer)
    thread.join()
    os.close(reader)
    assert [line.split()[2] for line in found.decode().splitlines()] == [str(number) for number in range(2000)]


def test_the_port_is_found_by_its_name(tmp_path: Path) -> None:
    for port, name in (("vport0p0", "other"), ("null", "org.wgnode.control")):
        (tmp_path / port).mkdir()
        (tmp_path / port / "name").write_text(f"{name}\n")
    assert find_port(tmp_path) == Path("/dev/null")
    assert find_port(tmp_path / "nothing") is None


class TcpLine:
    """The control channel as a machine without virtio-serial has it: one host at a time connects, the newest counts."""

    def __init__(self, loop: Loop, on_body: Callable[[bytes], None], on_open: Callable[[], None]) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self._loop, self._on_body, self._on_open = loop, on_body, on_open
        self._connection: socket.socket | None = None
        self._channel: Channel[bytes] | None = None
        self._acceptor = Acceptor(loop, self.listener, self._accept)

    def send(self, message: Message) -> bool:
        return self._channel is not None and self._channel.send(message)

    def listen(self, wanted: bool) -> None:
        assert self._channel is not None
        (self._channel.read_on if wanted else self._channel.rest)()

    def close(self) -> None:
        if self._channel is not None and self._connection is not None:
            self._channel.close()
            self._connection.close()
        self._channel = None

    def _accept(self, connection: socket.socket) -> None:
        self.close()
        self._connection = connection
        self._channel = Channel(self._loop, connection.fileno(), self._on_body, read=bytes)
        self._on_open()


def test_the_host_may_come_over_tcp_and_come_again(log: Log, answers: Answers) -> None:
    """Neither control nor gateway knows what the line is."""
    loop, lines = Loop(), list[TcpLine]()

    def connect(*arguments: Any) -> TcpLine:
        lines.append(TcpLine(*arguments))
        return lines[0]

    platform = FakePlatform(control=connect)
    Control(loop, log, answers, platform)
    log.info("before")
    for number in (1, 2):
        with socket.create_connection(lines[0].listener.getsockname()) as end:
            end.setblocking(False)
            host = Host(loop, end, platform)
            assert host.wait_for("hello")["name"] == "berlin"
            assert number == 2 or host.wait_for("log")["text"] == "before"
            end.send(encode({"type": "uapi", "id": number, "text": "get=1"}))
            assert host.wait_for("reply") == {"type": "reply", "id": number, "text": "answer to get=1"}
    lines[0].close()
    lines[0].listener.close()
    loop.close()


def test_where_no_clock_can_be_set_the_hosts_time_is_no_matter(host: Host, answers: Answers) -> None:
    host.wait_for("hello")
    host.end.sendall(encode({"type": "resume", "unix_ns": 5, "tai64n": 9}) + encode({"type": "time", "unix_ns": 6}))
    host.wait_for("heartbeat")
    host.wait_for("heartbeat")
    assert answers.begun == [(9, {})]
    assert not [message for message in host.received if message["type"] == "log"]


def test_the_machine_is_told_of_every_sign_of_life(log: Log, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    class Watched:
        beats = 0

        def alive(self) -> None:
            self.beats += 1

    monkeypatch.setattr(control_module, "HEARTBEAT", 0.02)
    loop, machine = Loop(), Watched()
    Control(loop, log, answers, FakePlatform(machine=machine))
    deadline = time.monotonic() + 10
    while machine.beats < 3 and time.monotonic() < deadline:
        loop.run_once(0.01)
    assert machine.beats >= 3
    loop.close()


def test_what_is_asked_waits_with_the_host_until_the_last_is_answered(host: Host, answers: Answers) -> None:
    """Else a host with many clients could fill the gateway's memory with requests of megabytes."""
    host.wait_for("hello")
    asked: list[tuple[str, Callable[[str], None]]] = []
    answers.uapi = lambda text, reply: asked.append((text, reply))  # type: ignore[method-assign]
    host.send(encode({"type": "uapi", "id": 1, "text": "first"}))
    host.end.sendall(encode({"type": "uapi", "id": 2, "text": "second"}))
    host.wait_for("heartbeat")
    ((text, reply),) = asked
    reply(text)
    assert host.wait_for("reply") == {"type": "reply", "id": 1, "text": "first"}
    assert asked[1][0] == "second"
