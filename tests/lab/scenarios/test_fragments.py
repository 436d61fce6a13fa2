"""A path with a smaller MTU of whose routers nothing is heard, to a peer that can't be asked how long packets may be:
it has two addresses, and nobody said which one answers. Datagrams without DF pass it in fragments.

[a] 192.0.2.1 ---- 192.0.2.2 [router] 198.51.100.2 -- MTU 1400 -- 198.51.100.1 [b]
 2001:db8:1::1       2001:db8:1::2     2001:db8:2::2               2001:db8:2::1
 10.9.0.1                                                          10.9.0.2

Over IPv6 no router fragments: there only what a machine knows of the way helps.
"""

from __future__ import annotations

import pytest

from tests.lab.scenarios.world import Device, World, ping, tcp, udp

pytestmark = pytest.mark.lab

BEYOND = 1372
"""Bytes in a ping whose datagram has 1460 bytes outside."""
SILENT = "icmp type destination-unreachable drop; icmpv6 type packet-too-big drop"


def over(world: World, near: list[str], far: list[str]) -> tuple[Device, Device]:
    """Two nodes and a silent router between them; of each address, its network's second is the router's."""
    a, router, b = world.space("a"), world.space("r", forwarding=True), world.space("b")
    world.cable(a, router, near, [address.replace("1/", "2/") for address in near])
    world.cable(b, router, far, [address.replace("1/", "2/") for address in far], mtu=1400)
    for space, (address, *_) in ((a, near), (b, far)):
        space.run("ip", "route", "add", "default", "via", address.replace("1/", "2/").partition("/")[0])
    rules = f"table inet t {{ chain c {{ type filter hook output priority 0; {SILENT}; }}; }}"
    router.run("nft", "-f", "-", text=rules)
    one, two = world.all_devices([(a, ["10.9.0.1/24"]), (b, ["10.9.0.2/24"])])
    two.peer(one, "10.9.0.1/32,10.9.0.11/32")
    host = far[0].partition("/")[0]
    one.peer(two, "10.9.0.2/32,10.9.0.12/32", f"[{host}]:51820" if ":" in host else f"{host}:51820")
    return one, two


@pytest.fixture
def across(world: World) -> tuple[Device, Device]:
    return over(world, ["192.0.2.1/24"], ["198.51.100.1/24"])


def test_what_is_too_long_for_a_silent_path_passes_in_fragments(across: tuple[Device, Device]) -> None:
    one, two = across
    assert ping(one.space, "10.9.0.2")
    assert ping(one.space, "10.9.0.2", "-s", str(BEYOND), "-M", "do")
    assert ping(two.space, "10.9.0.1", "-s", str(BEYOND), "-M", "do")
    tcp(one.space, two.space, "10.9.0.2")
    udp(one.space, "10.9.0.1", two.space, "10.9.0.2", [1392, 5000])


def test_over_ipv6_a_silent_path_takes_what_a_machine_knows_of_it(world: World) -> None:
    one, two = over(world, ["2001:db8:1::1/64"], ["2001:db8:2::1/64"])
    assert ping(one.space, "10.9.0.2")
    long = ("-s", str(BEYOND - 20), "-M", "do")
    assert not ping(one.space, "10.9.0.2", *long, "-c", "2", "-W", "0.5"), (
        "nothing of it is heard, and nobody fragments"
    )
    for space, router in ((one.space, "2001:db8:1::2"), (two.space, "2001:db8:2::2")):
        space.run("ip", "-6", "route", "change", "default", "via", router, "mtu", "1400")
    assert ping(one.space, "10.9.0.2", *long)
    tcp(one.space, two.space, "10.9.0.2")
    udp(one.space, "10.9.0.1", two.space, "10.9.0.2", [1392, 5000])
