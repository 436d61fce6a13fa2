"""What the host has on its LAN interface moves to our bridge and back, whole; what could not, is not touched."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from lab import rootfs
from pulumi_wgnode.hosts.networks.network import Network

from .distribution_host import SCRIPT, DistributionHost, distribution_host

pytestmark = pytest.mark.lab

SITE = Network("wan0", "lan0", ("172.31.255.253/30",), {"10.99.0.0/24": "10.2.0.2"})
# One of each kind; the label is as long as it may be for the bridge's name.
OWN = """ip link set lan0 up; ip addr add 10.2.0.1/24 brd + dev lan0; ip addr add 10.2.0.7/24 dev lan0
ip addr add 10.3.0.1/24 dev lan0 label lan0:four; ip addr add 10.4.0.1/32 dev lan0
ip addr add 10.9.0.1 peer 10.9.0.2 dev lan0; ip addr add 169.254.7.7/16 dev lan0 scope link
ip addr add 10.6.0.1/24 metric 50 noprefixroute dev lan0
ip addr add fd00:10:2::1/64 dev lan0; ip addr add fd00:9::1 peer fd00:9::2 dev lan0; ip addr add fe80::1/64 dev lan0
ip route add default via 10.2.0.9 dev lan0 metric 400 src 10.2.0.7; ip route add 10.77.0.0/16 via 10.9.0.2 dev lan0
ip route add 10.78.0.0/16 dev lan0 table 100 proto static
ip route add 10.79.0.0/16 via 10.2.0.9 dev lan0 table 100 onlink
ip route add 10.80.0.0/16 via 10.80.0.1 dev lan0 onlink mtu lock 1400
ip route add 10.81.0.0/16 via 10.2.0.9 dev lan0 proto kernel
ip -6 route add fd00:77::/64 via fd00:10:2::9 dev lan0 table 100; ip -6 route add fd00:78::/64 dev lan0 metric 7
ip rule add iif lan0 lookup 100 pref 50; ip rule add from 10.2.0.0/24 to 10.8.0.0/16 oif lan0 lookup 100 pref 51
ip rule add not from 10.2.0.7 fwmark 0x7/0xff lookup 100 pref 52
ip -6 rule add iif lan0 lookup 100 suppress_prefixlength 0
ip neigh add 10.2.0.50 lladdr 52:54:00:00:00:50 nud permanent dev lan0; ip neigh add proxy 10.2.0.77 dev lan0
ip neigh add fd00:10:2::50 lladdr 52:54:00:00:00:50 nud permanent dev lan0; ip neigh add proxy fd00:10:2::77 dev lan0
sysctl -q -w net.ipv4.conf.lan0.proxy_arp=1 net.ipv4.conf.lan0.rp_filter=2"""


@pytest.fixture
def host() -> Iterator[DistributionHost]:
    with distribution_host(next(iter(rootfs.ensure(print).values()))) as made:
        made.install(SITE)
        yield made


def moved(before: list[str]) -> list[str]:
    """What says `lan0`, as it has to be for the bridge."""
    return sorted(re.sub(r"\blan0\b", "wgnode-br0", line) for line in before if re.search(r"\blan0\b", line))


def having(host: DistributionHost, interface: str) -> list[str]:
    """Routes, rules, addresses and neighbours of an interface; nothing of the link itself."""
    lines = [line for line in host.snapshot() if re.search(rf"\b{interface}\b", line) and "<" not in line]
    return sorted(line for line in lines if not re.search(r"proto 119|\.network|^/|^wgnode-\S+$", line))


def test_all_that_the_lan_interface_has_moves_and_comes_back(host: DistributionHost) -> None:
    host.shell(OWN)
    before, had = host.snapshot(), having(host, "lan0")
    assert len(had) > 30
    host.up()
    assert having(host, "wgnode-br0") == moved(had)
    assert having(host, "lan0") == []
    assert "fe80::1/64" in host.shell("ip addr show wgnode-br0")
    assert host.shell("cd /proc/sys/net/ipv4/conf/wgnode-br0; cat proxy_arp rp_filter").split() == ["1", "2"]
    up = host.snapshot()
    host.up()
    assert host.snapshot() == up, "again"
    host.shell("ip link del wgnode-br0")
    host.up()
    assert host.snapshot() == up, "a bridge that somebody removed"
    host.shell("ip link del wgnode-br0")
    host.down()
    assert host.snapshot() == before, "down without the bridge"
    host.up()
    host.down()
    assert host.snapshot() == before, "down"


STRAYS = {
    "wgnode-br0 already": "ip link add wgnode-br0 type bridge",
    "a wgnode-br0 already that is none of ours": "ip link add wgnode-br0 type veth peer name stray",
    "none of ours: remove it": "ip link add wgnode-br0 type bridge; ip addr add 10.20.0.1/24 dev wgnode-br0;"
    " ip link set wan0 master wgnode-br0; ip link set lan0 master wgnode-br0",
    r"10\.5\.0\.0/16 .*several next hops": "ip route add 10.5.0.0/16 nexthop via 10.2.0.8 dev lan0"
    " nexthop via 10.2.0.9 dev lan0",
    r"fd00:5::/64 nhid 5 .*next hop object": "ip nexthop add id 5 via fd00:10:2::9 dev lan0;"
    " ip -6 route add fd00:5::/64 nhid 5",
    r"10\.5\.0\.1/24 with the label lan0:eight000": "ip addr add 10.5.0.1/24 dev lan0 label lan0:eight000",
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("said", STRAYS)
def test_a_stray_bridge_and_what_cannot_move_are_named_and_left_as_they_are(host: DistributionHost, said: str) -> None:
    host.shell(f"{OWN}; {STRAYS[said]}")
    before = host.snapshot()
    for verb in ("report", "up"):
        assert re.search(said, host.shell(f"sh {SCRIPT} {verb} 2>&1", check=False)), verb
        assert host.snapshot() == before, verb
    host.down()  # as undo and destroy do
    assert host.snapshot() == before
