"""Endpoints that change, and which source address a node's own datagrams have.

[a] 192.0.2.1, .3  2001:db8::1 ---- 192.0.2.2 2001:db8::2 [b]
 10.9.0.1 fd09::1                       10.9.0.2 fd09::2
"""

from __future__ import annotations

import pytest

from tests.lab.interop import wait_for
from tests.lab.scenarios.world import Device, World, ping, two_uplinks, udp_socket

pytestmark = pytest.mark.lab


def test_a_node_is_found_at_its_new_address_and_port(pair: tuple[Device, Device]) -> None:
    one, two = pair
    assert ping(one.space, "10.9.0.2")
    assert two.endpoint(one) == "192.0.2.1:51820"
    one.set("listen-port", "40000")
    one.ip("address", "del", "192.0.2.1/24", "dev", "eth1")
    one.ip("address", "add", "192.0.2.33/24", "dev", "eth1")
    assert ping(one.space, "10.9.0.2")
    assert two.endpoint(one) == "192.0.2.33:40000"
    assert ping(two.space, "10.9.0.1")


def test_families_change_and_change_back_live(pair: tuple[Device, Device]) -> None:
    one, two = pair
    for there, seen in (("192.0.2.2:51820", "192.0.2.1:51820"), ("[2001:db8::2]:51820", "[2001:db8::1]:51820")) * 2:
        one.set("peer", two.public_key, "endpoint", there)
        assert ping(one.space, "10.9.0.2")
        assert two.endpoint(one) == seen
        assert ping(two.space, "fd09::1")


@pytest.mark.parametrize(
    ("second", "written_to", "other"),
    [
        ("192.0.2.3/24", "192.0.2.3", "192.0.2.1"),  # Linux itself would choose the first IPv4 address
        ("2001:db8::5/64", "2001:db8::1", "2001:db8::5"),  # and the last IPv6 one
    ],
)
def test_replies_leave_from_the_address_written_to(
    pair: tuple[Device, Device], second: str, written_to: str, other: str
) -> None:
    """A firewall in [b] that knows its own connections only, as NATs do, lets nothing else in."""
    one, two = pair
    one.ip("address", "add", second, "dev", "eth1", *(["nodad"] if ":" in second else []))
    known = "ct state established,related accept; udp dport 51820 drop"
    two.space.run(
        "nft", "-f", "-", text=f"table inet t {{ chain c {{ type filter hook input priority 0; {known}; }}; }}"
    )
    endpoint = f"[{written_to}]:51820" if ":" in written_to else f"{written_to}:51820"
    two.set("peer", one.public_key, "endpoint", endpoint)
    assert ping(two.space, "10.9.0.1")
    assert two.endpoint(one) == endpoint
    # The address vanishes: the other one is used, and [b] only learns of it where its firewall lets it.
    two.space.run("nft", "flush", "ruleset")
    one.ip("address", "del", f"{written_to}/{second.partition('/')[2]}", "dev", "eth1")
    assert ping(one.space, "10.9.0.2")
    assert two.endpoint(one) == endpoint.replace(written_to, other)
    assert ping(two.space, "10.9.0.1")


def test_source_follows_the_route_to_another_interface(world: World) -> None:
    """When the route moves to the other uplink, so does the source address."""
    one, two = two_uplinks(world)
    a = one.space
    assert two.endpoint(one) == "198.51.100.1:51820"
    a.run("ip", "route", "replace", "203.0.113.2", "via", "192.0.2.2")
    assert ping(a, "10.9.0.2")
    assert two.endpoint(one) == "192.0.2.1:51820"
    a.run("ip", "link", "set", "eth2", "down")
    a.run("ip", "route", "replace", "203.0.113.2", "via", "198.51.100.2")
    assert ping(a, "10.9.0.2")
    assert two.endpoint(one) == "198.51.100.1:51820"


def test_sources_that_another_peer_owns_are_dropped_but_roamed(pair: tuple[Device, Device]) -> None:
    """The more specific allowed IP decides whose packet it may be; the datagram is authentic all the same."""
    one, two = pair
    assert ping(one.space, "10.9.0.2")
    thief = "8Z9M3AfUEMF5vXFIcGy1xQ0RnA3JzeKRrZYnFPLhjiU="
    one.set("peer", two.public_key, "allowed-ips", "10.9.0.0/24")
    with udp_socket(one.space, "10.9.0.1", 1111) as here, udp_socket(two.space, "10.9.0.2") as there:
        there.sendto(b"mine", ("10.9.0.1", 1111))
        assert here.recv(100) == b"mine"
        one.set("peer", thief, "allowed-ips", "10.9.0.2/32")
        two.set("listen-port", "9997")
        there.sendto(b"stolen", ("10.9.0.1", 1111))
        wait_for(lambda: one.endpoint(two) == "192.0.2.2:9997", "not roamed")
        one.set("peer", thief, "remove")
        there.sendto(b"mine again", ("10.9.0.1", 1111))
        assert here.recv(100) == b"mine again"


def test_strict_reverse_path_filtering_accepts_what_comes_out_of_the_tunnel(pair: tuple[Device, Device]) -> None:
    one, two = pair
    for each in pair:
        for where in ("all", each.name, "eth1"):
            each.space.run("sysctl", "-qw", f"net.ipv4.conf.{where}.rp_filter=1")
    assert ping(one.space, "10.9.0.2")
    # An address that is routed elsewhere is allowed by the peer's list, and still not by the kernel's filter.
    one.ip("address", "add", "10.77.0.1/32", "dev", one.name)
    two.set("peer", one.public_key, "allowed-ips", "10.9.0.1/32,10.77.0.1/32")
    two.ip("route", "add", "10.77.0.1/32", "via", "192.0.2.1")
    assert not ping(one.space, "10.9.0.2", "-I", "10.77.0.1", tries=2)
    two.ip("route", "replace", "10.77.0.1/32", "dev", two.name)
    assert ping(one.space, "10.9.0.2", "-I", "10.77.0.1")
