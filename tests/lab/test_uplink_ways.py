"""The uplink is where traffic really leaves: judged on hosts with several ways out, whose kernel has the last word."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.lab.bare_uplink import GATEWAY, Host, agrees_with_the_kernel, on
from tests.lab.interop import Namespace

pytestmark = [pytest.mark.lab, pytest.mark.in_turn("hosts")]


@pytest.fixture
def host() -> Iterator[Host]:
    """With nobody around it that answers."""
    space = Namespace(f"wgu-{secrets.token_hex(3)}-host")
    try:
        made = Host(space)
        made.setup(
            *(f"ip link add {name} type veth peer {name}-far; ip link set {name}-far up" for name in ("wan0", "mgmt0")),
            f"{on('wan0')}\nip link set mgmt0 up; ip addr add 10.9.0.1/24 dev mgmt0",
            GATEWAY,
        )
        yield made
    finally:
        space.close()


V6_TOO = "ip -6 addr add 2001:db8:9::1/64 dev mgmt0 nodad"
WAYS = [
    ("ip addr add 203.0.113.2/24 dev mgmt0; ip route add default via 203.0.113.1 metric 200", ["wan0"]),
    (
        "ip addr add 203.0.113.2/24 dev mgmt0; ip -4 route del default; ip -6 route del default;"
        " ip route add default via 203.0.113.1 metric 200",
        ["mgmt0"],
    ),
    ("ip -4 route del default", ["wan0"]),
    (
        "ip addr add 203.0.113.2/24 dev mgmt0; ip -4 route del default; ip route add default via 203.0.113.1",
        ["wan0", "mgmt0"],
    ),
    (
        "ip -4 route del default; ip -6 route del default; ip route add default via 10.9.0.2",
        ["mgmt0"],
    ),
    (
        "ip -4 route del default; ip -6 route del default; ip route add default via 198.51.100.1 table 77;"
        " ip rule add from 172.31.255.254 lookup 77",
        ["wan0"],
    ),
    (
        "ip -6 route del default; ip route del default;"
        " ip route add default nexthop via 198.51.100.1 nexthop via 10.9.0.2",
        [],
    ),
    (
        "ip -6 route del default; ip route del default;"
        " ip route add default nexthop via 198.51.100.1 nexthop via 10.9.0.2;"
        " ip route add default via 198.51.100.1 table 77; ip rule add iif wgnode-wan lookup 77",
        ["wan0"],
    ),
    ("ip route add 0.0.0.0/1 via 10.9.0.2; ip route add 128.0.0.0/1 via 10.9.0.2; ip -6 route del default", ["mgmt0"]),
    (
        "ip -6 route del default; ip route add default via 10.9.0.2 table 51820;"
        " ip rule add not fwmark 51820 lookup 51820; ip rule add lookup main suppress_prefixlength 0",
        ["mgmt0"],
    ),
    ("ip -4 route del default; ip -6 route del default", ["wan0", "mgmt0"]),
    (
        "ip link add link wan0 name mv0 type macvlan; ip link set mv0 up; ip addr flush dev wan0;"
        " ip -6 route flush dev wan0; ip addr add 198.51.100.2/24 dev mv0; ip route add default via 198.51.100.1",
        ["mv0"],
    ),
    ("ip nexthop add id 5 via 10.9.0.2 dev mgmt0; ip -6 route del default; ip route replace default nhid 5", ["mgmt0"]),
    (
        "ip -6 route del default; ip -4 route del default; ip nexthop add id 5 via 198.51.100.1 dev wan0;"
        " ip nexthop add id 6 via 10.9.0.2 dev mgmt0; ip nexthop add id 7 group 5,200/6; ip route add default nhid 7",
        [],
    ),
    (
        f"{V6_TOO}; ip -4 route del default; ip -6 route del default;"
        " ip -6 route add default nexthop via 2001:db8:2::1 nexthop via 2001:db8:9::2",
        [],
    ),
    (f"{V6_TOO}; ip -4 route del default; ip -6 route add default from 2001:db8:9::/64 via 2001:db8:9::2", ["wan0"]),
    (f"{V6_TOO}; ip -4 route del default; ip -6 route add 2000::/3 from 2001:db8:9::/64 via 2001:db8:9::2", ["wan0"]),
    (f"{V6_TOO}; ip -4 route del default; ip -6 route add default from fd77:676e::/32 via 2001:db8:9::2", ["mgmt0"]),
    ("ip -6 route del default; ip route add default via 10.9.0.2 tos 0x10", ["wan0"]),
    ("ip -6 route del default; ip route replace default encap ip id 5 dst 192.0.2.1 dev mgmt0", ["mgmt0"]),
    (
        "ip -6 route del default; ip route add default via 10.9.0.2 table 9; ip rule add pref 10 goto 50;"
        " ip rule add pref 20 lookup 9",
        ["mgmt0"],
    ),
    (
        "ip -6 route del default; ip route add default via 10.9.0.2 table 9; ip rule add pref 10 goto 50;"
        " ip rule add pref 20 lookup 9; ip rule add pref 50 lookup main",
        ["wan0"],
    ),
    ("ip -6 route del default; ip route add throw default table 77; ip rule add lookup 77", ["wan0"]),
    (
        "ip -6 route del default; ip route replace default nexthop via 198.51.100.1 nexthop via 10.9.0.2;"
        " sysctl -qw net.ipv4.conf.all.ignore_routes_with_linkdown=1; ip link set mgmt0-far down",
        ["wan0"],
    ),
    (
        "ip -6 route del default; ip link add vx0 type vxlan id 5 dstport 4789 remote 198.51.100.9; ip link set vx0 up;"
        " ip addr add 10.64.0.1/24 dev vx0; ip route replace default via 10.64.0.2",
        ["vx0"],
    ),
    (
        "ip link add link wan0 name mv0 type macvlan; ip link set mv0 up; ip addr flush dev wan0;"
        " ip -6 route flush dev wan0; ip link add br5 type bridge; ip link set br5 up; ip link set mv0 master br5;"
        " ip addr add 198.51.100.2/24 dev br5; ip route add default via 198.51.100.1",
        ["br5"],
    ),
    (
        "ip tuntap add dev tun0 mode tun; ip link set tun0 up; ip -6 route del default;"
        " ip route add default dev tun0 table 51820; ip rule add not fwmark 51820 lookup 51820;"
        " ip rule add lookup main suppress_prefixlength 0",
        ["tun0"],
    ),
    (
        "ip tuntap add dev ppp0 mode tun; ip link set ppp0 up; ip addr add 10.64.64.1 peer 10.64.64.64 dev ppp0;"
        " ip -6 route del default; ip route add default dev ppp0 scope link metric 700",
        ["wan0"],
    ),
    (
        "ip tuntap add dev ppp0 mode tun; ip link set ppp0 up; ip addr add 10.64.64.1 peer 10.64.64.64 dev ppp0;"
        " ip -6 route del default; ip -4 route del default; ip route add default dev ppp0",
        ["ppp0"],
    ),
]


@pytest.mark.sampled(6)
@pytest.mark.parametrize(("script", "right"), WAYS)
def test_the_uplink_is_the_interface_by_which_the_gateway_s_packets_leave(
    host: Host, script: str, right: list[str]
) -> None:
    host.setup(script.replace("; ", "\n").replace(";", "\n"))
    names = ("wan0", "mgmt0", *(name for name in right if name not in ("wan0", "mgmt0")))
    assert [name for name in names if host.found(name).sound] == right
    agrees_with_the_kernel(host)


def test_peers_tell_the_way_where_they_are_on_link(host: Host) -> None:
    host.setup("ip -4 route del default", "ip -6 route del default", "ip route add default via 10.9.0.2")
    assert not host.found("wan0").sound
    assert host.found("wan0", peers=["198.51.100.77"]).sound
    assert not host.found("wan0", peers=["192.0.2.77"]).sound


def test_a_default_that_lies_in_no_table_the_gateway_s_packets_come_to_is_none(host: Host) -> None:
    host.setup("ip -6 route del default", "ip rule add iif wgnode-wan unreachable")
    assert host.found("wan0").sound, "nothing leaves by another"
