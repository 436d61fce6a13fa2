"""Traffic of every kind between two nodes, and what they count of it.

[a] 192.0.2.1 2001:db8::1 ---- 192.0.2.2 2001:db8::2 [b]
 10.9.0.1 fd09::1                   10.9.0.2 fd09::2
"""

from __future__ import annotations

import time

import pytest

from tests.lab.interop import wait_for
from tests.lab.scenarios.world import Device, World, no_ping, outer_wire, ping, split_on_the_cable, tcp, udp, unasked

pytestmark = pytest.mark.lab

INITIATION, RESPONSE, KEEPALIVE = 148, 92, 32
ECHO = 32 + 96
"""Bytes of transport message: an echo of 56 bytes is a packet of 84, padded to 96."""


@pytest.mark.parametrize("endpoint", ["192.0.2.2:51820", "[2001:db8::2]:51820"])
def test_bytes_and_handshakes_are_counted_exactly(pair: tuple[Device, Device], endpoint: str) -> None:
    one, two = pair
    unasked(one, two)
    one.set("peer", two.public_key, "endpoint", endpoint)
    before = int(time.time())
    assert "10 received" in one.space.run("ping", "-n", "-c", "10", "-i", "0.1", "-W", "5", "10.9.0.2")
    sent, answered = INITIATION + 10 * ECHO, RESPONSE + 10 * ECHO
    late = (0, KEEPALIVE)  # on a machine so slow that ten seconds have passed
    received_by_one, sent_by_one = one.transfer(two)
    received_by_two, sent_by_two = two.transfer(one)
    assert received_by_one - answered in late
    assert sent_by_two - answered in late
    assert sent_by_one - sent in late
    assert received_by_two - sent in late
    for each, other in ((one, two), (two, one)):
        assert before <= each.handshake(other) <= time.time()
    assert two.endpoint(one) == endpoint.replace("0.2.2", "0.2.1").replace("::2", "::1")


@pytest.mark.parametrize("endpoint", ["192.0.2.2:51820", "[2001:db8::2]:51820"])
def test_ping_tcp_and_udp_of_both_families_inside_and_outside(pair: tuple[Device, Device], endpoint: str) -> None:
    one, two = pair
    one.set("peer", two.public_key, "endpoint", endpoint)
    for near, far, header in (("10.9.0.1", "10.9.0.2", 28), ("fd09::1", "fd09::2", 48)):
        assert ping(one.space, far)
        assert ping(two.space, near, "-s", str(1420 - header), "-M", "do")
        tcp(one.space, two.space, far)
        tcp(two.space, one.space, near)
        udp(one.space, near, two.space, far, [0, 1, 15, 16, 17, 1420 - header, 5000])


@pytest.mark.parametrize("outer", ["192.0.2.2:51820", "[2001:db8::2]:51820"])
def test_jumbo_packets(world: World, outer: str) -> None:
    a, b = world.space("a"), world.space("b")
    world.cable(a, b, ["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.2/24", "2001:db8::2/64"], mtu=9100)
    one, two = world.all_devices([(a, ["10.9.0.1/24", "fd09::1/64"]), (b, ["10.9.0.2/24", "fd09::2/64"])], mtu=9000)
    two.peer(one, "10.9.0.1/32,fd09::1/128")
    one.peer(two, "10.9.0.2/32,fd09::2/128", outer)
    for near, far, header in (("10.9.0.1", "10.9.0.2", 28), ("fd09::1", "fd09::2", 48)):
        assert ping(a, far, "-s", str(9000 - header), "-M", "do")
        assert no_ping(a, far, "-s", str(9001 - header), "-M", "do")
        tcp(a, b, far, mebibytes=4)
        tcp(b, a, near, mebibytes=4)
        udp(a, near, b, far, [9000 - header, 30000])


def test_padding_never_grows_beyond_the_mtu(pair: tuple[Device, Device]) -> None:
    """Of 1299, which is no multiple of 16: [b] drops what a padding to the next one, 1312 bytes inside, would be."""
    one, two = pair
    unasked(one, two)
    for each in pair:
        split_on_the_cable(each.space, "eth1")
        each.ip("link", "set", each.name, "mtu", "1299")
    longest = 20 + 8 + 32 + 1299
    drop = f"iifname eth1 ip length > {longest} drop"
    rules = f"table ip t {{ chain c {{ type filter hook input priority 0; {drop}; }}; }}"
    for each in pair:
        each.space.run("nft", "-f", "-", text=rules)
    wait_for(lambda: ping(one.space, "10.9.0.2"), "no traffic")
    for size in (1268, 1269, 1270, 1271):
        assert ping(one.space, "10.9.0.2", "-s", str(size), "-M", "do"), size
    assert no_ping(one.space, "10.9.0.2", "-s", "1272", "-M", "do")
    tcp(one.space, two.space, "10.9.0.2")


PADDED = {1252: 1280, 1253: 1296, 1268: 1296, 1269: 1299, 1270: 1299, 1271: 1299}
"""Bytes inside of pings of these sizes by a route with an MTU of 1299: 16 or fewer more, and never above 1299."""


@pytest.mark.parametrize("mtu", [1300, 1420])
@pytest.mark.parametrize(("endpoint", "header"), [("192.0.2.2:51820", 20), ("[2001:db8::2]:51820", 40)])
def test_padding_never_grows_beyond_a_routes_smaller_mtu(
    pair: tuple[Device, Device], endpoint: str, header: int, mtu: int
) -> None:
    """Exact sizes on the outer wire; what padding to the interface's MTU or to 1312 would be does not pass at all."""
    one, two = pair
    unasked(one, two)
    one.set("peer", two.public_key, "endpoint", endpoint)
    for each, other in ((one, "10.9.0.2"), (two, "10.9.0.1")):
        split_on_the_cable(each.space, "eth1")
        each.ip("link", "set", each.name, "mtu", str(mtu))
        each.ip("route", "replace", other, "dev", each.name, "mtu", "1299")
        drop = f"iifname eth1 meta l4proto udp meta length > {header + 8 + 32 + 1299} drop"
        rules = f"table inet t {{ chain c {{ type filter hook input priority 0; {drop}; }}; }}"
        each.space.run("nft", "-f", "-", text=rules)
    wait_for(lambda: ping(one.space, "10.9.0.2"), "no traffic")
    with outer_wire(two.space, "eth1") as lengths:
        for size, inside in PADDED.items():
            assert ping(one.space, "10.9.0.2", "-s", str(size), "-M", "do", tries=1), size
            assert lengths() == {header + 8 + 32 + inside}, size
        assert no_ping(one.space, "10.9.0.2", "-s", "1272", "-M", "do")
        assert lengths() == set()
    tcp(one.space, two.space, "10.9.0.2")
    udp(one.space, "10.9.0.1", two.space, "10.9.0.2", [1271, 1272, 4000])


def test_padding_follows_a_route_that_comes_changes_and_goes(pair: tuple[Device, Device]) -> None:
    one, two = pair
    assert ping(one.space, "10.9.0.2")

    def padded() -> int:
        """The echo request of 1297 bytes, as seen inside; the reply's route has no MTU of its own."""
        assert ping(one.space, "10.9.0.2", "-s", "1269", tries=1)
        return min(lengths()) - (20 + 8 + 32)

    with outer_wire(two.space, "eth1") as lengths:
        assert padded() == 1312
        for words, inside in (
            (("route", "add", "10.9.0.2/32", "dev", one.name, "mtu", "1299"), 1299),
            (("route", "replace", "10.9.0.2/32", "dev", one.name, "mtu", "1298"), 1298),
            (("route", "replace", "10.9.0.2/32", "dev", one.name), 1312),
            (("route", "replace", "10.9.0.2/32", "dev", one.name, "mtu", "1298"), 1298),
            (("route", "del", "10.9.0.2/32", "dev", one.name), 1312),
            (("route", "add", "fd09::2/128", "dev", one.name, "mtu", "1297"), 1297),  # a packet's own or not
            (("link", "set", one.name, "down"), 0),
            (("link", "set", one.name, "up"), 1312),
        ):
            one.ip(*words)
            if inside:
                wait_for(lambda inside=inside: padded() == inside, f"{' '.join(words)}: not {inside}")


def test_a_route_with_a_smaller_mtu_is_told_to_the_sender(pair: tuple[Device, Device]) -> None:
    one, two = pair
    one.ip("route", "replace", "10.9.0.2/32", "dev", one.name, "mtu", "1299")
    two.ip("route", "replace", "10.9.0.1/32", "dev", two.name, "mtu", "1299")
    assert ping(one.space, "10.9.0.2", "-s", "1271", "-M", "do")
    assert no_ping(one.space, "10.9.0.2", "-s", "1272", "-M", "do")
    tcp(one.space, two.space, "10.9.0.2")
    udp(one.space, "10.9.0.1", two.space, "10.9.0.2", [1271, 1272, 4000])
