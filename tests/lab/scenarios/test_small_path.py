"""A path that refuses trains for its MTU, and takes little at a time: the compiled plane waits, and loses nothing.

[a] 192.0.2.1 ---- MTU 1300, 1 Mbit/s ---- 192.0.2.2 [b], nodes 10.9.0.1 and 10.9.0.2
"""

from __future__ import annotations

import socket

import pytest

from tests.lab import programs
from tests.lab.programs import FAST, Program
from tests.lab.scenarios.world import Device, ping, udp_socket

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
