"""network.sh beside what a host has of its own: it never takes a route, and undo and `down` leave what was there."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from ipaddress import ip_network

import pytest

from pulumi_wgnode.hosts.host import Result
from pulumi_wgnode.hosts.networks import lost_bridge, routing
from pulumi_wgnode.hosts.networks.host_networks import There, Wanted, near
from pulumi_wgnode.hosts.networks.network import READ_LINKS, Network, observed
from pulumi_wgnode.hosts.networks.overlaps import judge
from tests.lab.bare_host import BareHost, bare_host
from wgnode.image.paths import Paths

pytestmark = [pytest.mark.lab, pytest.mark.in_turn("hosts")]

TRANSIT = ("172.31.255.253/30", "fd77:676e:6f64:6500::1/126")
BEFORE = Network("wan0", "lan0", TRANSIT, {"10.99.0.0/24": "10.2.0.2", "fd99::/64": "fd00:10:2::2"})
HOME = """ip addr add 192.168.1.10/24 dev wan0; ip route add default via 192.168.1.1 dev wan0
ip addr add fd00:1::10/64 dev wan0 nodad; ip -6 route add default via fd00:1::1 dev wan0
ip addr add 10.2.0.1/24 brd + dev lan0; ip addr add fd00:10:2::1/64 dev lan0 nodad
ip rule add from 192.168.1.10 lookup 100; ip route add default via 192.168.1.1 dev wan0 table 100
ip neigh add proxy 10.2.0.77 dev wan0"""


def with_routes(**more: str) -> Network:
    return replace(BEFORE, routes={**BEFORE.routes, **more})


OWN = {
    "192.168.1.0/24": "192.168.1.0/24 dev wan0 proto kernel scope link src 192.168.1.10",
    "10.7.0.0/24": "10.7.0.0/24 via 192.168.1.9 dev wan0 metric 200",
    "10.8.0.1/32": "blackhole 10.8.0.1",
    "fd00:1::/64": "fd00:1::/64 dev wan0 proto kernel metric 256",
}


def test_a_route_of_the_host_is_never_taken_but_named_while_all_others_are_set() -> None:
    more = "; ip route add 10.7.0.0/24 via 192.168.1.9 dev wan0 metric 200; ip route add blackhole 10.8.0.1"
    taken = {to: "fd00:10:2::2" if ":" in to else "10.2.0.2" for to in OWN}
    with bare_host(HOME + more) as host:
        pristine = host.snapshot()
        host.script(BEFORE)
        as_it_was = host.snapshot()
        for verb in ("routes", "up"):
            done = host.script(with_routes(**{"10.3.0.0/24": "10.2.0.2", **taken}), verb)
            assert done.returncode == 4
            for to, own in OWN.items():
                said = f"the route to {to.removesuffix('/32')}: {own}"
                assert said in done.stderr
            found = host.snapshot()
            assert [line for line in found if line not in as_it_was] == [
                "10.3.0.0/24 via 10.2.0.2 dev wgnode-br0 proto 119 metric 30000 "
            ]
            assert not [line for line in as_it_was if line not in found]
        assert host.script(BEFORE).returncode == 0, "the undo"
        assert host.snapshot() == as_it_was
        host.script(BEFORE, "down")
        assert host.snapshot() == pristine


def test_a_route_behind_ours_or_to_the_gateway_is_the_hosts_own_and_stays() -> None:
    fallback = "; ip route add blackhole 10.3.0.0/24 metric 4000000; ip route add 10.99.0.0/24 via 10.2.0.2"
    with bare_host(HOME + fallback) as host:
        assert host.script(with_routes(**{"10.3.0.0/24": "10.2.0.2"})).returncode == 0
        assert "via 10.2.0.2 dev wgnode-br0" in host.shell("ip route get 10.3.0.9")
        host.script(BEFORE)
        routes = host.shell("ip route")
        assert "blackhole 10.3.0.0/24" in routes
        assert "10.99.0.0/24 via 10.2.0.2 dev wgnode-br0 \n" in routes


def test_an_uplink_that_gets_the_network_of_another_site_later_is_not_cut_off() -> None:
    with bare_host(HOME) as host:
        assert host.script(with_routes(**{"192.168.7.0/24": "10.2.0.2"})).returncode == 0
        host.shell("ip addr flush dev wan0; ip addr add 192.168.7.10/24 dev wan0")
        host.shell("ip route add default via 192.168.7.1 dev wan0")
        assert "dev wan0 src 192.168.7.10" in host.shell("ip route get 192.168.7.1")
        assert host.script(with_routes(**{"192.168.7.0/24": "10.2.0.2"})).returncode == 4


def test_routes_of_an_older_version_and_of_another_next_hop_are_changed_and_no_other() -> None:
    with bare_host(HOME) as host:
        host.script(BEFORE)
        as_it_was = host.snapshot()
        for route in ("10.99.0.0/24 via 10.2.0.2", "10.66.0.0/24 via 10.2.0.9"):
            host.shell(f"ip route add {route} dev wgnode-br0 proto 119")
        host.shell("ip -6 route add fd99::/64 via fd00:10:2::2 dev wgnode-br0 proto 119")
        host.shell("ip route del 10.99.0.0/24 metric 30000; ip -6 route del fd99::/64 metric 30000")
        host.shell("ip -6 route add fd99::/64 via fd00:10:2::9 dev wgnode-br0 proto 119 metric 30000")
        assert host.script(BEFORE, "routes").returncode == 0
        assert host.snapshot() == as_it_was


def test_what_the_kernel_refuses_is_named() -> None:
    with bare_host(HOME) as host:
        done = host.script(with_routes(**{"10.3.0.0/24": "10.77.0.2", "10.4.0.0/24": "10.2.0.2"}))
        assert done.returncode == 4
        assert "route add 10.3.0.0/24 via 10.77.0.2 dev wgnode-br0" in done.stderr
        assert "10.4.0.0/24 via 10.2.0.2" in host.shell("ip route")


def test_what_overlaps_is_told_from_what_ip_really_says() -> None:
    more = """; ip route add blackhole 10.9.0.0/16; ip route add local 10.44.0.0/24 dev lo
    ip route add 10.10.0.0/24 nexthop via 192.168.1.8 dev wan0 nexthop via 10.2.0.8 dev lan0
    ip route add 10.11.0.0/24 via inet6 fd00:1::7 dev wan0 table 200; ip -6 route add unreachable fd00:9::/64
    ip addr add 10.12.0.1 peer 10.13.0.1/32 dev lan0; ip addr add 10.14.0.1/24 dev wan0 noprefixroute
    ip rule add from 10.2.0.0/24 lookup 300; ip route add default via 192.168.1.9 dev wan0 table 300
    ip rule add not fwmark 9 lookup main suppress_prefixlength 0"""
    wanted = ["192.168.0.0/16", "10.9.0.0/16", "10.44.0.0/16", "10.10.0.0/24", "10.11.0.0/24", "fd00:9::/64"]
    wanted += ["fd00:1::/48", "10.13.0.0/24", "10.14.0.7/32", "10.15.0.0/24", "fd00:15::/64"]
    with bare_host(HOME + more) as host:
        said = subprocess.CompletedProcess([], 0, host.shell(routing._READ))
        found = routing.parse(said)
        there = There.of(host.shell(" ".join(READ_LINKS)), found, BEFORE)
        host.shell("ip rule del not fwmark 9 lookup main suppress_prefixlength 0")
        later = routing.parse(subprocess.CompletedProcess([], 0, host.shell(routing._READ)))
    networks = [Wanted(ip_network(one)) for one in wanted]
    verdict = judge(networks, there)
    assert {str(one.wanted.network): one.held.text for one in reversed(verdict.refused)} == {
        "192.168.0.0/16": "wan0 has 192.168.1.10/24",
        "10.9.0.0/16": "it has the route blackhole 10.9.0.0/16",
        "10.44.0.0/16": "it has the route local 10.44.0.0/24 dev lo table local",
        "10.10.0.0/24": "it has the route 10.10.0.0/24 via 192.168.1.8 via 10.2.0.8 dev wan0",
        "10.11.0.0/24": "it has the route 10.11.0.0/24 via fd00:1::7 dev wan0 table 200",
        "fd00:9::/64": "it has the route unreachable fd00:9::/64 dev lo metric 1024",
        "fd00:1::/48": "wan0 has fd00:1::10/64",
        "10.13.0.0/24": "lan0 has 10.12.0.1/32",
        "10.14.0.7/32": "wan0 has 10.14.0.1/24",
    }
    assert verdict.told == ()
    (told,) = judge(networks, replace(there, routing=later)).told
    assert "from 10.2.0.0/24 lookup 300` comes before its main table" in told
    assert "10.15.0.0/24 of the mesh go by `default via 192.168.1.9 dev wan0 table 300`" in told


BRIDGED = """ip link add br7 type bridge; ip link set br7 up; ip link set lan0 master br7; ip addr flush dev lan0
ip addr add 10.2.0.1/24 brd + dev br7; ip addr add fd00:10:2::1/64 dev br7 nodad"""
# The same of two interfaces, the LAN's behind the other's and before it.
TWINS = """ip route append default via 10.2.0.9 dev lan0; ip route append 10.28.0.0/16 via 10.2.0.9 dev lan0
ip route append 10.28.0.0/16 via 192.168.1.9 dev wan0"""
# What a LAN is attached to, and whether the host has the routes (host-route) or none (proxy-arp, masquerade).
WAYS = {
    "a plain interface": (f"{HOME}\n{TWINS}", BEFORE),
    "a bridge of the host's": (f"{HOME}\n{BRIDGED}", replace(BEFORE, lan="br7")),
    "no routes": (HOME.replace("ip addr add 10.2.0.1/24 brd + dev lan0", "true"), replace(BEFORE, routes={})),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_the_host_had_is_there_again_after_the_undo_and_after_the_end(way: str) -> None:
    """Of the first change, of a later one, and with a second gateway that shares what there is to share."""
    setting, network = WAYS[way]
    changed = replace(
        network, transit=("172.31.254.1/30", TRANSIT[1]), routes={**network.routes, "10.5.0.0/24": "10.2.0.2"}
    )
    if not network.routes:
        changed = replace(changed, routes={})
    second = replace(network, transit=("172.31.255.249/30",), routes={}, paths=Paths("0b1c2d3e"), protocol=120)
    with bare_host(setting) as host:
        pristine = host.snapshot()
        assert host.script(network).returncode == 0
        assert host.script(network, "down").returncode == 0
        assert host.snapshot() == pristine, "the undo of the first"
        assert host.script(network).returncode == 0
        as_it_was = host.snapshot()
        assert host.script(changed).returncode == 0
        assert host.script(network).returncode == 0
        assert host.snapshot() == as_it_was, "the undo of a change"
        assert host.script(second).returncode == 0
        assert host.script(second, "down").returncode == 0
        assert host.snapshot() == as_it_was, "the end of another"
        assert host.script(network, "down").returncode == 0
        assert host.snapshot() == pristine, "the end"


def test_a_lan_that_becomes_a_bridge_of_the_hosts_leaves_nothing_behind_either_way() -> None:
    """Nor does the bridge get another MAC address by our tap, for which the LAN would look in vain."""
    bridge = """; ip link add br7 type bridge; ip link add lan7 type veth peer name lan7-far
    ip link set lan7 address fc:ff:ff:ff:ff:01 up; ip link set lan7-far up; ip link set lan7 master br7
    ip link set br7 up; ip addr add 10.8.0.1/24 dev br7"""
    other = replace(BEFORE, lan="br7", routes={"10.99.0.0/24": "10.8.0.2"})
    with bare_host(HOME + bridge) as host:
        pristine = host.snapshot()
        assert host.script(BEFORE).returncode == 0
        on_lan0 = host.snapshot()
        assert host.script(other).returncode == 0
        on_bridge = host.snapshot()
        assert not [line for line in on_bridge if "wgnode-br0" in line]
        assert [line for line in pristine if "lan0" in line and line not in on_bridge] == []
        assert host.shell("cat /sys/class/net/br7/address") == "fc:ff:ff:ff:ff:01\n"
        assert host.script(BEFORE).returncode == 0
        assert host.snapshot() == on_lan0
        assert host.script(other).returncode == 0
        assert host.snapshot() == on_bridge
        assert host.script(other, "down").returncode == 0
        assert host.snapshot() == pristine


def test_a_route_to_the_transit_link_that_is_gone_is_seen_and_comes_back() -> None:
    """The addresses are still there, so that the kernel has no reason to make it again by itself."""

    def seen(host: BareHost) -> str:
        routes = host.shell("ip -4 route show; ip -6 route show")
        return observed(host.shell(" ".join(READ_LINKS)), routes, BEFORE)["links"]["wgnode-wan"]

    with bare_host(HOME) as host:
        assert host.script(BEFORE).returncode == 0
        as_it_was, well = host.snapshot(), seen(host)
        host.shell("ip route del 172.31.255.252/30; ip route del fd77:676e:6f64:6500::/126")
        assert seen(host) == f"without a route to 172.31.255.252/30 fd77:676e:6f64:6500::/126, {well}"
        assert host.script(BEFORE).returncode == 0
        again = [line for line in host.snapshot() if "multicast ff00::/8 dev wgnode-wan" not in line]  # the kernel's
        assert (again, seen(host)) == (as_it_was, well)


def test_what_a_removed_bridge_had_is_known_before_it_is_there_again() -> None:
    more = "; ip addr add 10.2.5.1 peer 10.2.5.2/32 dev lan0"
    with bare_host(HOME + more) as host:
        assert host.script(BEFORE).returncode == 0
        as_it_was = host.snapshot()
        host.shell("ip link del wgnode-br0")
        recorded = lost_bridge.query("").parse(Result(0, host.script(BEFORE, "recorded").stdout, ""))
        links = lost_bridge.as_before(host.shell(" ".join(READ_LINKS)), recorded, "lan0", "wgnode-br0")
        found = near(There.of(links, routing.Routing(), BEFORE))
        assert {str(one) for one in found} - {"fe80::/64"} == {"10.2.0.0/24", "10.2.5.2/32", "fd00:10:2::/64"}
        assert host.script(BEFORE).returncode == 0
        assert host.snapshot() == as_it_was
