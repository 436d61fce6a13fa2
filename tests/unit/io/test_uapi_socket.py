"""The UAPI socket: framing of requests, several clients, and what becomes of its file."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wgnode.io import uapi_socket
from wgnode.io.loop import Loop
from wgnode.io.uapi_socket import Reply, UapiListener, request_length


@pytest.mark.parametrize(
    ("data", "length"),
    [
        (b"", None),
        (b"get=1", None),
        (b"get=1\n", None),
        (b"get=1\n\n", 7),
        (b"get=1\n\nget=1\n\n", 7),
        (b"get=1\nx", 7),
        (b"set=1\n\n", 7),
        (b"set=1\na=b\n", None),
        (b"set=1\na=b\n\n", 11),
        (b"set=1\na=b\n\nset", 11),
        (b"delete=1\n", 9),
        (b"delete=1", 8),
        (b"\n", 1),
    ],
)
def test_a_request_is_whole_at_its_blank_line_or_when_it_can_not_be_right(data: bytes, length: int | None) -> None:
    assert request_length(data) == length


class Server:
    """A listener that answers with the request in capitals, or keeps the request until told to answer."""

    def __init__(self, directory: Path) -> None:
        self.loop = Loop()
        self.requests: list[str] = []
        self.waiting: list[Reply] = []
        self.answer: Callable[[str, Reply], None] = lambda request, reply: reply(request.upper())
        self.removed: list[bool] = []
        self.listener = UapiListener(
            self.loop, "wg0", self.handle, directory=directory, on_removed=lambda: self.removed.append(True)
        )

    def handle(self, request: str, reply: Reply) -> None:
        self.requests.append(request)
        self.answer(request, reply)

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(self.listener.path))
        client.setblocking(False)
        return client

    def turn(self, times: int = 6) -> None:
        for _ in range(times):
            self.loop.run_once(0)

    def ask(self, client: socket.socket, request: bytes) -> bytes:
        client.send(request)
        self.turn()
        return client.recv(1 << 20)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "wireguard")
    yield made
    made.listener.close()
    made.loop.close()


def test_file_and_directory_are_the_owners_only(server: Server) -> None:
    assert stat.S_IMODE(os.stat(server.listener.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(server.listener.path.parent).st_mode) == 0o700


def test_several_requests_on_one_connection(server: Server) -> None:
    with server.connect() as client:
        assert server.ask(client, b"get=1\n\n") == b"GET=1\n\n"
        assert server.ask(client, b"set=1\na=b\n\n") == b"SET=1\nA=B\n\n"
        assert server.ask(client, b"get=1\n\nset=1\n\n") == b"GET=1\n\nSET=1\n\n"


def test_a_client_that_waits_in_the_middle_of_a_line_does_not_keep_others(server: Server) -> None:
    with server.connect() as slow, server.connect() as quick:
        slow.send(b"set=1\nprivate_k")
        server.turn()
        assert server.ask(quick, b"get=1\n\n") == b"GET=1\n\n"
        assert server.requests == ["get=1\n\n"]
        assert server.ask(slow, b"ey=1\n\n") == b"SET=1\nPRIVATE_KEY=1\n\n"


def test_a_client_that_leaves_in_the_middle_changes_nothing(server: Server) -> None:
    with server.connect() as client:
        client.send(b"set=1\nprivate_key=1\n")
    server.turn()
    assert server.requests == []
    with server.connect() as client:
        assert server.ask(client, b"get=1\n\n") == b"GET=1\n\n"


def test_an_empty_answer_closes_the_connection(server: Server) -> None:
    server.answer = lambda _, reply: reply("")
    with server.connect() as client:
        assert server.ask(client, b"delete=1\n\n") == b""


def test_a_late_answer_reaches_its_client_and_the_next_request_waits_for_it(server: Server) -> None:
    server.answer = lambda _, reply: server.waiting.append(reply)
    with server.connect() as client:
        client.send(b"get=1\n\nget=1\n\n")
        server.turn()
        assert len(server.requests) == 1
        server.waiting[0]("first\n\n")
        server.turn()
        assert client.recv(100) == b"first\n\n"
        assert len(server.requests) == 2


def test_requests_are_answered_one_at_a_time_even_if_more_arrive_meanwhile(server: Server) -> None:
    server.answer = lambda _, reply: server.waiting.append(reply)
    with server.connect() as client:
        client.send(b"get=1\n\n" * 3)
        server.turn()
        client.send(b"get=1\n\n")
        server.waiting[0]("first\n\n")
        server.turn()
        assert len(server.requests) == 2


def test_a_late_answer_to_a_client_that_has_left_is_dropped(server: Server) -> None:
    server.answer = lambda _, reply: server.waiting.append(reply)
    with server.connect() as client:
        client.send(b"get=1\n\n")
        server.turn()
    server.turn()
    server.waiting[0]("late\n\n")
    server.turn()


def test_a_large_answer_arrives_whole_at_a_slow_reader(server: Server) -> None:
    large = "x" * (4 << 20)
    server.answer = lambda _, reply: reply(large)
    with server.connect() as client:
        client.send(b"get=1\n\n")
        found = b""
        while len(found) < len(large):
            server.turn(1)
            try:
                found += client.recv(100_000)
            except BlockingIOError:
                continue
        assert found == large.encode()
        server.turn()


def test_a_request_without_end_is_cut_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uapi_socket, "LARGEST_REQUEST", 100)
    with server.connect() as client:
        client.send(b"set=1\n" + b"a" * 94)
        server.turn()
        with pytest.raises(BlockingIOError):
            client.recv(1)
        assert server.ask(client, b"a") == b""


def test_more_clients_than_allowed_are_turned_away(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uapi_socket, "MOST_CLIENTS", 2)
    with server.connect(), server.connect(), server.connect() as third:
        server.turn()
        assert third.recv(1) == b""


def test_closing_removes_the_file(server: Server) -> None:
    server.listener.close()
    assert not server.listener.path.exists()


def test_removal_of_the_file_by_another_is_noticed(server: Server) -> None:
    server.turn()
    (server.listener.path.parent / "other.sock").touch()
    (server.listener.path.parent / "other.sock").unlink()
    server.turn()
    assert server.removed == []
    server.listener.path.unlink()
    server.turn()
    assert server.removed


def test_wg_finds_no_socket_before_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It removes one that refuses, as between bind and listen; then nobody ever reaches the device."""
    listen = socket.socket.listen

    def looked_at(made: socket.socket, backlog: int) -> None:
        for path in tmp_path.glob("*.sock"):
            with socket.socket(socket.AF_UNIX) as wg, pytest.raises(ConnectionRefusedError):
                wg.connect(str(path))
            path.unlink()
        listen(made, backlog)

    monkeypatch.setattr(socket.socket, "listen", looked_at)
    server = Server(tmp_path)
    with server.connect() as client:
        assert server.ask(client, b"get=1\n\n") == b"GET=1\n\n"
    assert [path.name for path in tmp_path.iterdir()] == ["wg0.sock"]
    server.listener.close()
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_start_at_once_one_has_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uapi_socket, "refuse_or_unlink", lambda path: None)  # it has looked when nobody was there yet
    first = Server(tmp_path)
    with pytest.raises(FileExistsError, match=r"wg0\.sock belongs to a running process"):
        Server(tmp_path)
    with first.connect() as client:
        assert first.ask(client, b"get=1\n\n") == b"GET=1\n\n"
    assert [path.name for path in tmp_path.iterdir()] == ["wg0.sock"]
    first.listener.close()


def test_a_stale_file_is_replaced_and_a_served_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "wireguard" / "wg0.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    server = Server(path.parent)
    with pytest.raises(FileExistsError, match=r"wg0\.sock belongs to a running process"):
        Server(path.parent)
    with server.connect() as client:
        assert server.ask(client, b"get=1\n\n") == b"GET=1\n\n"
    server.listener.close()
    server.loop.close()


def test_closing_spares_a_file_that_is_another_processes_by_now(server: Server) -> None:
    server.listener.path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(server.listener.path))
        server.listener.close()
        assert server.listener.path.exists()
