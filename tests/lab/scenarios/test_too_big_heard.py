"""A router that says what fits is heard by who has sent what did not, and about its own datagrams only.

[a] 192.0.2.1 ---- 192.0.2.2 [router] 198.51.100.2 -- route of 1300 -- 198.51.100.1 [b]
 2001:db8:1::1      2001:db8:1::2      2001:db8:2::2                  2001:db8:2::1
"""

from __future__ import annotations

import socket
import struct
import time

import pytest

from tests.lab import programs
from tests.lab.programs import Program
from tests.lab.scenarios.world import World
from wgnode.pathmtu.said import Said
from wgnode.platform.linux.icmp import TooBigs
from wgnode.platform.linux.sockets import (
    IP_MTU_DISCOVER,
    IP_PMTUDISC_PROBE,
    IPV6_MTU_DISCOVER,
    IPV6_PMTUDISC_PROBE,
)

pytestmark = pytest.mark.lab

FAR = {socket.AF_INET: "198.51.100.1", socket.AF_INET6: "2001:db8:2::1"}
PORT = 51820
MESSAGE = struct.pack("<IIQ", 4, 7, 99).ljust(1372, b"\0")


@pytest.fixture
def program() -> Program:
    return programs.named("ours-python")  # none is started


def send(family: int, port: int) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as near:
        level, option, value = (
            (socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
            if family == socket.AF_INET
            else (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE)
        )
        near.setsockopt(level, option, value)
        near.bind(("", port))
        near.sendto(MESSAGE, (FAR[family], 4000))


def test_what_a_router_says_of_our_port_is_heard_and_of_no_other(world: World) -> None:
    a, router, b = world.space("a"), world.space("r", forwarding=True), world.space("b")
    world.cable(a, router, ["192.0.2.1/24", "2001:db8:1::1/64"], ["192.0.2.2/24", "2001:db8:1::2/64"])
    world.cable(b, router, ["198.51.100.1/24", "2001:db8:2::1/64"], ["198.51.100.2/24", "2001:db8:2::2/64"])
    for via in ("192.0.2.2", "2001:db8:1::2"):
        a.run("ip", "route", "add", "default", "via", via)
    for target in FAR.values():
        router.run("ip", "route", "add", target, "dev", "eth2", "mtu", "1300")
    heard = a.call(lambda: TooBigs(PORT))
    try:
        for port in (PORT + 1, PORT):
            for family in FAR:
                a.call(lambda family=family, port=port: send(family, port))
        found: list[Said] = []
        until = time.monotonic() + 5
        while len(found) < 2 and time.monotonic() < until:
            found += heard.read(8)[0]
            time.sleep(0.02)
    finally:
        heard.close()
    assert found == [Said(FAR[family], 4000, 1300, 1372 + header, 7, 99) for family, header in HEADERS]


HEADERS = ((socket.AF_INET, 28), (socket.AF_INET6, 48))
