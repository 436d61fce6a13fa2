"""The engine on threads of its own: packets move whatever Python does, and Python is told what it has to know."""

from __future__ import annotations

import errno
import gc
import os
import resource
import select
import signal
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from wgnode.io.clock import boottime

if TYPE_CHECKING:
    import wgnode_fastpath as fastpath
else:
    fastpath = pytest.importorskip("wgnode_fastpath")

PATIENCE = 10.0
"""Seconds that anything may take on a busy machine."""
KEYS = (bytes([1]) * 32, bytes([2]) * 32)


@dataclass
class Side:
    """`tun` is the kernel's end of what the engine takes for its TUN."""

    engine: fastpath.Engine
    told: int
    peer: int
    tun: socket.socket
    inner: socket.socket
    udp: socket.socket

    def close(self) -> None:
        self.engine.stop()
        for each in (self.tun, self.inner, self.udp):
            each.close()

    def rings(self, patience: float = PATIENCE) -> bool:
        return bool(select.select([self.told], [], [], patience)[0])


def side(number: int, udp: socket.socket, other: socket.socket, threads: int) -> Side:
    """10.0.0.1 or 10.0.0.2, with a session that nobody had to negotiate."""
    engine, far = fastpath.Engine(), 3 - number
    told = engine.start(threads)
    engine.set_mtus([1420])
    peer = engine.add_peer()
    engine.add_route(bytes([10, 0, 0, far]), 32, peer)
    keys = KEYS if number == 1 else (KEYS[1], KEYS[0])
    engine.add_session(fastpath.Session((number, far), keys, boottime(), fastpath.choose_crypto("ring")[0]), peer, True)
    engine.set_current(peer, number)
    place = fastpath.Place(bytes([127, 0, 0, 1]), other.getsockname()[1])
    engine.set_endpoint(peer, place, (place, False))
    tun, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    inner.setblocking(False)
    tun.settimeout(PATIENCE)
    engine.set_tun(inner.fileno())
    engine.set_sockets(udp.fileno(), None, True)
    return Side(engine, told, peer, tun, inner, udp)


@pytest.fixture(params=[1, 2, 4])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Side, Side]]:
    one, two = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in "ab")
    for each in (one, two):
        each.bind(("127.0.0.1", 0))
        each.setblocking(False)
    sides = side(1, one, two, request.param), side(2, two, one, request.param)
    yield sides
    for each in sides:
        each.close()


def packet(sender: int, number: int) -> bytes:
    header = struct.pack("!BBHHHBBH", 0x45, 0, 64, 0, 0, 64, 17, 0)
    return header + bytes([10, 0, 0, sender, 10, 0, 0, 3 - sender]) + bytes(40) + struct.pack("!I", number)


def number_of(tun: socket.socket) -> int:
    return int.from_bytes(tun.recv(2000)[-4:], "big")


def test_packets_pass_while_python_keeps_the_interpreter_to_itself(pair: tuple[Side, Side]) -> None:
    """The last answer is there although nothing but a loop of bytecodes, which never waits, has run since."""
    one, two = pair
    for number in range(20):
        one.tun.send(packet(1, number))
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        pass
    two.tun.setblocking(False)
    assert [number_of(two.tun) for _ in range(20)] == list(range(20))


def test_what_a_peer_did_is_told_within_seconds(pair: tuple[Side, Side]) -> None:
    one, two = pair
    one.tun.send(packet(1, 5))
    assert number_of(two.tun) == 5
    assert one.rings()
    events = one.engine.events()
    assert [(did.peer, did.tx_bytes) for did in events.activity] == [(one.peer, 96)]
    assert (events.handed, events.tun_gone, events.died) == ([], False, None)
    assert not one.rings(0)


def test_what_is_handed_over_is_not_overtaken_until_it_is_settled(pair: tuple[Side, Side]) -> None:
    one, two = pair
    one.engine.set_current(one.peer, None)
    one.tun.send(packet(1, 1))
    assert one.rings()
    (first,) = one.engine.events().handed
    assert (first.data, first.place) == (packet(1, 1), None)
    one.engine.set_current(one.peer, 1)
    one.tun.send(packet(1, 2))
    assert one.rings()
    (second,) = one.engine.events().handed
    assert second.data == packet(1, 2)
    one.engine.settle()
    one.tun.send(packet(1, 3))
    assert number_of(two.tun) == 3


def test_more_handshake_messages_than_are_given_at_once_ring_again(pair: tuple[Side, Side]) -> None:
    one, two = pair
    cookie_reply = bytes([3]) + bytes(63)
    for _ in range(40):
        two.udp.sendto(cookie_reply, one.udp.getsockname())
    told = 0
    while told < 40:
        assert one.rings()
        told += len(one.engine.events().handed)
        one.engine.settle()
    assert not one.rings(0.05)


def test_what_is_told_while_it_is_paused_takes_effect_as_one(pair: tuple[Side, Side]) -> None:
    one, two = pair
    one.engine.pause()
    one.engine.forget_destinations()
    one.tun.send(packet(1, 1))
    place = fastpath.Place(bytes([127, 0, 0, 1]), two.udp.getsockname()[1])
    one.engine.set_endpoint(one.peer, place, (place, False))
    one.engine.resume()
    assert number_of(two.tun) == 1
    assert one.engine.events().handed == []


def test_once_it_is_stopped_descriptors_may_be_closed_and_it_starts_again(pair: tuple[Side, Side]) -> None:
    one, _ = pair
    one.engine.stop()
    one.engine.stop()
    with pytest.raises(ValueError, match="not open"):
        one.engine.events()
    with pytest.raises(ValueError, match="not open"):
        one.engine.set_tun(None)
    one.told = one.engine.start()
    with pytest.raises(ValueError, match="already"):
        one.engine.start()


def test_sockets_are_changed_under_traffic_and_the_old_ones_closed(pair: tuple[Side, Side]) -> None:
    """As when the port changes, or the network namespace that they are made in."""
    one, two = pair
    for number in range(50):
        one.tun.send(packet(1, number))
        if number % 10 == 9:
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind(("127.0.0.1", 0))
            made.setblocking(False)
            assert number_of(two.tun) == number - 9  # what waits for the old ones is lost with them
            time.sleep(0.05)
            one.engine.set_sockets(made.fileno(), None, True)
            one.udp.close()
            one.udp = made
            for expected in range(number - 8, number + 1):
                assert number_of(two.tun) == expected


def test_signals_are_for_pythons_threads(pair: tuple[Side, Side]) -> None:
    one, _ = pair
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    try:
        for _ in range(20):
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen
    assert one.engine.events().died is None


@pytest.mark.parametrize("number", [0, 65, 2**40])
def test_a_number_of_threads_that_nobody_means_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=f"{number} threads: 1 to 64 can move packets"):
        fastpath.Engine().start(number)


@pytest.mark.parametrize("number", [1, 2, 64])
def test_an_engine_that_is_forgotten_takes_its_threads_along(number: int) -> None:
    def threads() -> int:
        return len(os.listdir("/proc/self/task"))

    before = threads()
    engine = fastpath.Engine()
    engine.start(number)
    assert threads() == before + number
    del engine
    assert threads() == before


def test_what_is_missing_to_begin_is_told_with_its_number_and_nothing_is_left() -> None:
    engine, (soft, hard) = fastpath.Engine(), resource.getrlimit(resource.RLIMIT_NOFILE)
    gc.collect()  # what other tests have left open
    before = len(os.listdir("/proc/self/fd"))
    os.close(lowest := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(OSError, match="Too many open files") as refused:
            engine.start(2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (refused.value.errno, refused.value.strerror) == (errno.EMFILE, os.strerror(errno.EMFILE))
    assert len(os.listdir("/proc/self/fd")) == before
    engine.start(2)
    engine.stop()
