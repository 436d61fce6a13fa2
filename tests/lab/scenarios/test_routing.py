"""Tunnels and routes: by mark, inside of each other, and in circles.

[a] 192.0.2.1 ---- 192.0.2.2 [b]
 10.9.0.1              10.9.0.2
"""

from __future__ import annotations

import time

import pytest

from tests.lab.scenarios.world import Device, World, no_ping, ping, tcp

pytestmark = pytest.mark.lab

CONTAINED = 70_000
"""Bytes that ten pings may become in a circle: no storm."""


def test_marks_keep_a_default_route_out_of_its_own_tunnel(pair: tuple[Device, Device]) -> None:
    """All but what is marked goes into the tunnel, as wg-quick does it, even to the peer's own endpoint."""
    one, two = pair
    two.ip("address", "add", "203.0.113.9/32", "dev", "lo")
    one.set("fwmark", "0xca6c", "peer", two.public_key, "allowed-ips", "0.0.0.0/0")
    one.ip("route", "add", "default", "dev", one.name, "table", "51820")
    one.ip("rule", "add", "not", "fwmark", "0xca6c", "table", "51820")
    assert ping(one.space, "203.0.113.9")
    assert two.transfer(one)[0] > 0
    before = one.transfer(two)[1]
    assert ping(one.space, "192.0.2.2", "-I", "10.9.0.1")
    assert one.transfer(two)[1] > before
    one.set("fwmark", "0")
    before = one.transfer(two)[1]
    assert no_ping(one.space, "203.0.113.9")
    assert one.transfer(two)[1] - before < CONTAINED


def test_a_tunnel_inside_a_tunnel(world: World, pair: tuple[Device, Device]) -> None:
    """[a] 10.10.0.1 in 10.9.0.1 ---- 10.9.0.2 around 10.10.0.2 [b]; the inner one leaves room for the outer one."""
    one, two = pair
    wanted = [(one.space, ["10.10.0.1/24"]), (two.space, ["10.10.0.2/24"])]
    inner_one, inner_two = world.all_devices(wanted, mtu=1340, port=51821)
    inner_two.peer(inner_one, "10.10.0.1/32")
    inner_one.peer(inner_two, "10.10.0.2/32", "10.9.0.2:51821")
    assert ping(one.space, "10.10.0.2", "-s", "1312", "-M", "do")
    tcp(one.space, two.space, "10.10.0.2", mebibytes=1)
    assert inner_two.endpoint(inner_one) == "10.9.0.1:51821"
    assert one.transfer(two)[1] > inner_one.transfer(inner_two)[1] > 1 << 20


def test_a_tunnel_routed_into_itself_is_contained(pair: tuple[Device, Device]) -> None:
    one, two = pair
    assert ping(one.space, "10.9.0.2")
    one.set("peer", two.public_key, "allowed-ips", "0.0.0.0/0")
    one.ip("route", "add", "192.0.2.2/32", "dev", one.name)
    before = one.transfer(two)[1]
    assert "0 received" in one.space.run("ping", "-n", "-c", "10", "-i", "0.1", "-W", "1", "10.9.0.2", check=False)
    assert one.transfer(two)[1] - before < CONTAINED
    one.ip("route", "del", "192.0.2.2/32", "dev", one.name)
    assert ping(one.space, "10.9.0.2")


def test_tunnels_routed_into_each_other_are_contained(world: World, pair: tuple[Device, Device]) -> None:
    """An onion whose outermost skin is its core: wg0's endpoint is behind wg1, and wg1's behind wg0."""
    one, two = pair
    wanted = [(one.space, ["10.10.0.1/24"]), (two.space, ["10.10.0.2/24"])]
    other_one, other_two = world.all_devices(wanted, port=51821)
    other_two.peer(other_one, "10.10.0.1/32")
    other_one.peer(other_two, "0.0.0.0/0", "192.0.2.2:51821")
    one.set("peer", two.public_key, "allowed-ips", "0.0.0.0/0")
    assert ping(one.space, "10.9.0.2")
    assert ping(one.space, "10.10.0.2")
    two.ip("address", "add", "203.0.113.8/32", "dev", "lo")
    two.ip("address", "add", "203.0.113.9/32", "dev", "lo")
    one.set("peer", two.public_key, "endpoint", "203.0.113.8:51820")
    other_one.set("peer", other_two.public_key, "endpoint", "203.0.113.9:51821")
    one.ip("route", "add", "203.0.113.8/32", "dev", other_one.name)
    one.ip("route", "add", "203.0.113.9/32", "dev", one.name)
    before = one.transfer(two)[1]
    assert "0 received" in one.space.run("ping", "-n", "-c", "10", "-i", "0.1", "-W", "1", "10.9.0.2", check=False)
    time.sleep(1)
    assert one.transfer(two)[1] - before < 10 * CONTAINED
    settled = one.transfer(two)[1]
    time.sleep(1)
    assert one.transfer(two)[1] - settled < CONTAINED
