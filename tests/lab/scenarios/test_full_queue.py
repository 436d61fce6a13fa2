"""An interface that drops what is beyond its queue and says so (ENOBUFS): it is counted, and the node goes on.

Linux tells only sockets with IP_RECVERR of it (udp_send_skb), which ours have not, so the tests set that.

[a] 192.0.2.1 ---- 192.0.2.2 [b], nodes 10.9.0.1 and 10.9.0.2
"""

from __future__ import annotations

import pytest

from tests.lab import programs
from tests.lab.interop import wait_for
from tests.lab.programs import Program
from tests.lab.scenarios.world import Device, ping, tcp, udp_socket

pytestmark = pytest.mark.lab

TOLD = """
import socket
from wgnode.io import udp_bind
bind = udp_bind._bind
def bind_and_be_told(family, *how):
    made = bind(family, *how)
    if family == socket.AF_INET:
        made.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
    return made
udp_bind._bind = bind_and_be_told
"""


@pytest.fixture(params=programs.PLANES)
def program(request: pytest.FixtureRequest) -> Program:
    return programs.ours(request.param, TOLD)


def test_a_queue_that_is_full_is_counted_and_traffic_goes_on(pair: tuple[Device, Device]) -> None:
    one, two = pair
    assert ping(one.space, "10.9.0.2")
    tbf = ("root", "tbf", "rate", "4mbit", "burst", "5kb", "limit", "20kb")
    one.space.run("tc", "qdisc", "add", "dev", "eth1", *tbf)
    with udp_socket(one.space, "10.9.0.1") as near:
        for _ in range(300):
            near.sendto(bytes(1000), ("10.9.0.2", 9))
    tcp(one.space, two.space, "10.9.0.2", mebibytes=1)
    one.space.run("tc", "qdisc", "del", "dev", "eth1", "root")
    wait_for(lambda: ping(one.space, "10.9.0.2"), "no traffic once the queue is gone")
    assert (one.process.poll(), two.process.poll()) == (None, None)
    assert one.dropped().get("udp ENOBUFS", 0) > 50
