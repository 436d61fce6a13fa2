"""What the compiled plane asks of the outer sockets is the platform's to give."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.fake_platform import FakePlatform, SilentTun
from wgnode.dataplane.choose import FAST, Unavailable, choose
from wgnode.io.loop import Loop
from wgnode.io.node import new_device
from wgnode.io.shell import Shell
from wgnode.platform import Platform
from wgnode.platform.linux import Process
from wgnode.platform.linux.sockets import SO_TIMESTAMPNS, UDP_GRO


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.mark.parametrize(("platform", "asked"), [(Process(), 1), (FakePlatform(), 0)])
def test_times_of_arrival_and_joined_datagrams_are_asked_of_the_platform(
    loop: Loop, platform: Platform, asked: int
) -> None:
    try:
        plane = choose(FAST)
    except Unavailable as missing:
        pytest.skip(str(missing))
    device = new_device(plane.new_plane())
    shell = Shell(loop, device, SilentTun(), platform, on_gone=lambda: None, packet_io=plane.packet_io)
    shell.start()
    loop.run_once(0)
    assert shell.udp is not None
    for made in shell.udp.sockets.values():
        assert made.getsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS) == asked
        assert made.getsockopt(socket.IPPROTO_UDP, UDP_GRO) == asked
    shell.close()
