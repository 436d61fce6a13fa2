"""A path with a smaller MTU of whose routers nothing is heard: datagrams without DF pass it in fragments.

[a] 192.0.2.1 ---- 192.0.2.2 [router] 198.51.100.2 -- MTU 1400 -- 198.51.100.1 [b]
 10.9.0.1                                                          10.9.0.2
"""

from __future__ import annotations

import pytest

from tests.lab.scenarios.world import Device, World, ping, tcp, udp

pytestmark = pytest.mark.lab

BEYOND = 1372
"""Bytes in a ping whose datagram has 1460 bytes outside."""
SILENT = "icmp type destination-unreachable drop"


@pytest.fixture
def across(world: World) -> tuple[Device, Device]:
    a, router, b = world.space("a"), world.space("r", forwarding=True), world.space("b")
    world.cable(a, router, ["192.0.2.1/24"], ["192.0.2.2/24"])
    world.cable(b, router, ["198.51.100.1/24"], ["198.51.100.2/24"], mtu=1400)
    a.run("ip", "route", "add", "default", "via", "192.0.2.2")
    b.run("ip", "route", "add", "default", "via", "198.51.100.2")
    rules = f"table ip t {{ chain c {{ type filter hook output priority 0; {SILENT}; }}; }}"
    router.run("nft", "-f", "-", text=rules)
    one, two = world.all_devices([(a, ["10.9.0.1/24"]), (b, ["10.9.0.2/24"])])
    two.peer(one, "10.9.0.1/32")
    one.peer(two, "10.9.0.2/32", "198.51.100.1:51820")
    return one, two


def test_what_is_too_long_for_a_silent_path_passes_in_fragments(across: tuple[Device, Device]) -> None:
    one, two = across
    assert ping(one.space, "10.9.0.2")
    assert ping(one.space, "10.9.0.2", "-s", str(BEYOND), "-M", "do")
    assert ping(two.space, "10.9.0.1", "-s", str(BEYOND), "-M", "do")
    tcp(one.space, two.space, "10.9.0.2")
    udp(one.space, "10.9.0.1", two.space, "10.9.0.2", [1392, 5000])
