"""The engine's thread under a shell: when it begins, when it ends, and what its death does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_platform import FakePlatform, SilentTun
from wgnode.dataplane.choose import FAST, Unavailable, choose
from wgnode.io.loop import Loop
from wgnode.io.node import new_device
from wgnode.io.packet_io import PlaneDied
from wgnode.io.shell import Shell
from wgnode.protocol.endpoint import Endpoint

try:
    from wgnode.dataplane.fast_io import FastIO
except ImportError as missing:
    pytest.skip(str(missing), allow_module_level=True)


@pytest.fixture(params=[1, 2])
def shell(request: pytest.FixtureRequest) -> Iterator[Shell]:
    try:
        plane = choose(FAST, threads=request.param)
    except Unavailable as missing:
        pytest.skip(str(missing))
    loop = Loop()
    device = new_device(plane.new_plane())
    made = Shell(loop, device, SilentTun(), FakePlatform(), on_gone=lambda: None, packet_io=plane.packet_io)
    yield made
    made.close()
    loop.close()


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


def test_the_threads_begin_with_the_loop_and_end_with_the_shell(shell: Shell) -> None:
    """Not before: whoever becomes a daemon forks in between, and a fork takes no thread along."""
    packets, before = shell._packets, threads()
    assert isinstance(packets, FastIO)
    asked = packets._threads
    shell.start()
    assert threads() == before
    shell.loop.run_once(0)
    assert threads() == before + asked
    shell.stop()
    shell.start()
    assert threads() == before + asked
    shell._packets.close()
    assert threads() == before


def test_a_pause_within_a_pause_ends_with_the_outer_one(shell: Shell) -> None:
    """A request for a new mark asks for ways anew in its midst."""
    packets, engine = shell._packets, FakeEngine()
    assert isinstance(packets, FastIO)
    packets._engine, real = engine, packets._engine  # type: ignore[assignment]
    with shell.changing():
        packets.routing_changed()
        assert engine.moves is False
    assert engine.moves is True
    packets._engine = real


def test_the_engine_is_told_what_has_changed_after_what_was_sent_and_before_what_is_delivered(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer to what is delivered would else be sealed by the session of before, forgotten perhaps by the peer."""
    order: list[str] = []
    shell.start()
    assert shell.udp is not None
    monkeypatch.setattr(shell.udp, "send", lambda data, endpoint, **more: order.append("sent"))
    monkeypatch.setattr(shell._packets, "sent", lambda: order.append("told"))
    monkeypatch.setattr(shell.tun, "write", lambda packet: order.append("delivered"))
    shell.device.plane.datagrams.append((b"staged", Endpoint("192.0.2.1", 1)))
    shell.device.plane.packets.append(b"to be answered")
    shell.flush()
    assert order == ["sent", "told", "delivered"]


def test_a_thread_that_dies_ends_the_loop_with_its_reason(shell: Shell) -> None:
    shell.loop.run_once(0)
    packets = shell._packets
    assert isinstance(packets, FastIO)
    packets._engine, engine = FakeEngine(), packets._engine  # type: ignore[assignment]
    shell.loop.call_later(0, packets._happened)
    with pytest.raises(PlaneDied, match="panicked: for a test"):
        shell.loop.run_once(0)
    packets._engine = engine


def pollers() -> set[int]:
    """Descriptors of epoll that this process has."""
    fds = Path("/proc/self/fd")
    return {int(fd) for fd in os.listdir(fds) if (fds / fd).is_symlink() and "eventpoll" in os.readlink(fds / fd)}


def test_a_thread_that_can_not_wait_any_more_ends_the_loop_with_the_kernels_reason(shell: Shell) -> None:
    before = pollers()
    shell.loop.run_once(0)
    null = os.open(os.devnull, os.O_RDONLY)
    for fd in pollers() - before:
        os.dup2(null, fd)
    os.close(null)
    assert isinstance(shell.tun, SilentTun)
    os.write(shell.tun._other, b"wakes it")
    shell.loop.call_later(10.0, shell.loop.stop)
    with pytest.raises(PlaneDied, match="Invalid argument"):
        shell.loop.run()


class FakeEngine:
    """Whether packets move, and what an engine says after its thread has panicked."""

    died = "panicked: for a test"
    moves = True

    def events(self) -> FakeEngine:
        return self

    def pause(self) -> None:
        self.moves = False

    def resume(self) -> None:
        self.moves = True
