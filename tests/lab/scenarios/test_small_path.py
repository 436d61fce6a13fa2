"""A path that refuses trains for its MTU, and takes little at a time: the compiled plane waits, and loses nothing.

[a] 192.0.2.1 ---- MTU 1300, 1 Mbit/s ---- 192.0.2.2 [b], nodes 10.9.0.1 and 10.9.0.2
"""

from __future__ import annotations

import socket
import time

import pytest

from tests.lab import programs
from tests.lab.programs import FAST, Program
from tests.lab.scenarios.world import Device, World, ping, udp_socket
from tests.unit.protocol.pairs import packet
from wgnode.io.udp import UdpSockets
from wgnode.platform.linux.sockets import Options

wgnode_fastpath = pytest.importorskip("wgnode_fastpath")

pytestmark = pytest.mark.lab

SMALL_BUFFER = "from wgnode.platform.linux import sockets; sockets.BUFFER = 1 << 14; "
UDP_SEGMENT = 103
ECT0 = 2
MESSAGES = 40


@pytest.fixture
def program() -> Program:
    return programs.ours(FAST, SMALL_BUFFER)


def test_messages_that_no_train_carries_wait_until_there_is_room(pair: tuple[Device, Device]) -> None:
    one, two = pair
    for each in pair:
        each.space.run("ip", "link", "set", "eth1", "mtu", "1300")
    assert ping(one.space, "10.9.0.2")
    slow = ("rate", "1mbit", "burst", "3kb", "limit", "1mb")
    one.space.run("tc", "qdisc", "add", "dev", "eth1", "root", "tbf", *slow)
    with udp_socket(one.space, "10.9.0.1") as near, udp_socket(two.space, "10.9.0.2") as far:
        near.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1380)
        near.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, ECT0)  # what waits for long is marked then, not dropped
        for _ in range(3):
            near.sendto(bytes(1380 * MESSAGES), far.getsockname()[:2])
        assert [len(far.recv(2000)) for _ in range(3 * MESSAGES)] == [1380] * 3 * MESSAGES
    assert not [kind for kind in one.dropped() if kind.startswith("udp ")]


def test_what_the_link_refuses_although_a_limit_allows_it_goes_by_the_second_socket(world: World) -> None:
    """The engine alone: a cable of 1,400 bytes, and a limit of 1,440 inside."""
    near, far = world.space("a"), world.space("b")
    world.cable(near, far, ["192.0.2.1/24"], ["192.0.2.2/24"], mtu=1400)
    suite, _ = wgnode_fastpath.choose_crypto()
    engine = wgnode_fastpath.Engine()
    engine.set_mtus([1440])
    peer, now = engine.add_peer(), time.clock_gettime(time.CLOCK_BOOTTIME)
    engine.add_session(wgnode_fastpath.Session((1, 2), (bytes(32), bytes(32)), now, suite), peer, True)
    engine.set_current(peer, 1)
    engine.add_route(socket.inet_aton("10.0.0.2"), 32, peer)
    engine.set_limit(peer, (1440, 1440))
    udp = near.call(lambda: UdpSockets(options=Options(), whole=True))
    tun, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    inner.setblocking(False)
    with udp_socket(far, "192.0.2.2") as there, tun, inner:
        at = wgnode_fastpath.Place(socket.inet_aton("192.0.2.2"), there.getsockname()[1])
        engine.set_endpoint(peer, at, (at, False))
        engine.start()
        engine.set_tun(inner.fileno())
        second = {family: each.fileno() for family, each in udp.fragmenting.items()}
        engine.set_sockets(udp.descriptors[socket.AF_INET], None, True, (second[socket.AF_INET], None))
        for size in (1300, 1420, 1430):
            tun.send(packet("10.0.0.1", "10.0.0.2", bytes(size - 20)))
        assert sorted(len(there.recv(2000)) for _ in range(3)) == [1344, 1456, 1472]
        assert [each.message for each in engine.events().too_long] == [1456]
        assert engine.refused() == []
        engine.stop()
    udp.close()
