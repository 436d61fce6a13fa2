"""Packets that try a host's uplink: behind a bridge, and where it has gone.

[internet] outside -- wan0 [host] mgmt0 -- office0 [office]
                           [host] docker0 -- box0 [box]
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

import pytest

from tests.lab.bare_uplink import BOX, BRIDGED, HOST, HOST6, OPEN, SHUT, Host, Net, connects, listen, on, reached, wire
from tests.lab.interop import Namespace

pytestmark = pytest.mark.lab


@pytest.fixture
def net() -> Iterator[Net]:
    tag = secrets.token_hex(3)
    with contextlib.ExitStack() as stack:
        spaces = [Namespace(f"wgu-{tag}-{name}") for name in ("host", "internet", "office", "box")]
        for space in spaces:
            stack.callback(space.close)
        made = Net(Host(spaces[0]), *spaces[1:])
        wire(made.host, "wan0", made.internet, "outside", "198.51.100.1/24", "2001:db8:2::1/64")
        wire(made.host, "mgmt0", made.office, "office0", "10.9.0.2/24")
        wire(made.host, "port0", made.box, "box0", f"{BOX}/16")
        made.internet.run("sh", "-ec", f"ip addr add 192.0.2.10 dev lo; ip route add 172.17.0.0/16 via {HOST}")
        made.box.run("ip", "route", "add", "default", "via", "172.17.0.1")
        made.office.run("ip", "route", "add", "default", "via", "10.9.0.1")
        made.host.setup(
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0",
            "ip link add docker0 type bridge; ip link set docker0 up; ip link set port0 master docker0",
            "ip addr add 172.17.0.1/16 dev docker0; ip addr add 10.9.0.1/24 dev mgmt0",
            on("wan0"),
        )
        for space in spaces:
            stack.callback(listen(space))
        yield made


def test_a_card_in_a_bridge_that_has_address_and_route_is_no_uplink_and_the_bridge_is(net: Net) -> None:
    assert net.host.found("wan0").sound
    net.host.setup(BRIDGED, on("vmbr0"))
    assert net.host.found("vmbr0").sound
    found = net.host.found("wan0")
    assert found.what == "a port of the bridge vmbr0; traffic leaves by vmbr0"
    assert "set `uplink: vmbr0` in the site's stack file" in found.way_out


def only_what_is_allowed_comes_in_and_others_are_left_alone(net: Net) -> None:
    assert reached(net.internet, HOST, OPEN)
    assert reached(net.internet, HOST6, OPEN)
    assert not connects(net.internet, HOST, SHUT)
    assert not connects(net.internet, HOST6, SHUT)
    assert not connects(net.internet, BOX, SHUT), "forwarded"
    assert connects(net.office, "10.9.0.1", SHUT)
    assert connects(net.box, HOST, SHUT)
    assert connects(net.box, "10.9.0.2", SHUT), "forwarded"
    assert connects(net.box, "198.51.100.1", SHUT)


def test_behind_a_bridge_only_what_is_allowed_answers_and_other_interfaces_are_left_alone(net: Net) -> None:
    net.host.setup(BRIDGED, on("vmbr0"))
    net.host.load("vmbr0")
    only_what_is_allowed_comes_in_and_others_are_left_alone(net)
    assert connects(net.box, "172.17.0.1", SHUT)


@pytest.mark.parametrize(
    ("change", "name", "what"),
    [
        (BRIDGED, "vmbr0", "a port of the bridge vmbr0; traffic leaves by vmbr0"),
        ("ip link set wan0 down; ip link set wan0 name eth9", "eth9", "missing; traffic leaves by eth9"),
    ],
)
def test_a_table_whose_uplink_has_gone_is_closed_and_other_interfaces_are_left_alone(
    net: Net, change: str, name: str, what: str
) -> None:
    net.host.load("wan0")
    assert reached(net.internet, HOST, OPEN)
    net.host.setup(change, f"ip addr flush dev {name}", on(name))
    assert net.host.found("wan0").what == what
    only_what_is_allowed_comes_in_and_others_are_left_alone(net)


def test_what_only_passes_a_bridge_is_not_judged(net: Net) -> None:
    """With br_netfilter, which Docker loads, frames between a bridge's ports come by our table."""
    net.host.setup(BRIDGED, on("vmbr0"), "sysctl -qw net.bridge.bridge-nf-call-iptables=1")
    guest = Namespace(f"{net.host.space.name}-vm")
    try:
        wire(net.host, "vm0", guest, "eth0", "198.51.100.9/24")
        wire(net.host, "vm1", guest, "eth1", "203.0.113.9/24")
        wire(net.host, "wan1", net.internet, "outside1", "203.0.113.1/24")
        net.host.setup(
            "ip link set vm0 master vmbr0",
            "ip link add vmbr1 type bridge; ip link set vmbr1 up; ip link set vm1 master vmbr1",
            "ip link set wan1 master vmbr1",
        )
        stop = listen(guest)
        net.host.load("vmbr0")
        assert reached(net.internet, "198.51.100.9", SHUT), "beside the host, on its uplink"
        assert reached(net.internet, "203.0.113.9", SHUT), "on a bridge in which the host has no address"
        assert not connects(net.internet, HOST, SHUT)
        stop()
    finally:
        guest.close()
