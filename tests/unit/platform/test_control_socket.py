"""The control channel of a gateway that is a process: a socket of its own, one host at a time, the newest counts."""

from __future__ import annotations

import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wgnode.io.control import Decoder, encode
from wgnode.io.loop import Loop
from wgnode.platform.linux.control_socket import SocketLine, listen


class World:
    def __init__(self, path: Path) -> None:
        self.path, self.loop = path, Loop()
        self.bodies: list[bytes] = []
        self.opened = 0
        self.listener = listen(path)
        self.line = SocketLine(self.listener, self.loop, self.bodies.append, self._open)

    def _open(self) -> None:
        self.opened += 1
        assert self.line.send({"type": "hello"})

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline
            self.loop.run_once(0.01)

    def host(self) -> socket.socket:
        """One that was greeted."""
        before, client = self.opened, socket.socket(socket.AF_UNIX)
        client.connect(str(self.path))
        self.until(lambda: self.opened > before)
        client.settimeout(10)
        assert Decoder().feed(client.recv(65536)) == [{"type": "hello"}]
        return client


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "control.sock")
    yield made
    made.listener.close()
    made.loop.close()


def test_only_its_owner_and_group_may_connect_and_a_socket_that_was_there_is_replaced(world: World) -> None:
    assert stat.S_IMODE(world.path.stat().st_mode) == 0o660
    again = listen(world.path)
    assert stat.S_ISSOCK(world.path.stat().st_mode)
    again.close()


def test_without_a_host_nothing_is_sent_and_with_one_both_ways_work(world: World) -> None:
    assert not world.line.send({"type": "heartbeat"})
    host = world.host()
    host.sendall(encode({"type": "time"}))
    world.until(lambda: world.bodies == [b'{"type":"time"}'])
    host.close()


def test_a_host_that_comes_takes_the_place_of_the_one_before(world: World) -> None:
    first, second = world.host(), world.host()
    assert first.recv(1) == b""
    second.sendall(encode({"type": "time"}))
    world.until(lambda: world.bodies)
    second.close()
    world.until(lambda: not world.line.send({"type": "heartbeat"}))
    world.host().close()
    first.close()


def test_what_is_not_read_has_to_wait(world: World) -> None:
    host = world.host()
    world.line.listen(False)
    host.sendall(encode({"type": "time"}))
    for _ in range(5):
        world.loop.run_once(0.01)
    assert not world.bodies
    world.line.listen(True)
    world.until(lambda: world.bodies)
    host.close()


def test_a_host_out_of_step_is_parted_from_and_costs_nothing_more(world: World) -> None:
    host = world.host()
    host.sendall(b"\xff" * 64)
    world.until(lambda: not world.line.send({"type": "heartbeat"}))
    assert host.recv(1 << 16)[-1:] in (b"", b"}")
    host.close()
    world.host().close()
