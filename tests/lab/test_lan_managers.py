"""Whoever configures the LAN interface restarts, reloads, is upgraded: the LAN stays in our bridge with what it had."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lab import rootfs
from pulumi_wgnode.hosts.networks.network import Network

from .distribution_host import SCRIPT, DistributionHost, distribution_host

pytestmark = [
    pytest.mark.lab,
    pytest.mark.in_turn("hosts"),
    pytest.mark.sampled(1),
]  # each test on one of the distributions

ROUTES = {"10.99.0.0/24": "10.2.0.2", "fd99::/64": "fd00:10:2::2"}
SITE = Network("wan0", "lan0", ("172.31.255.253/30", "fd77:676e:6f64:6500::1/126"), ROUTES)
NETWORKD = "/etc/systemd/network"
WAN = "[Match]\nName=wan0\n[Network]\nAddress=192.0.2.5/24\nGateway=192.0.2.1\n"
SETTINGS = """[Network]
Address=10.2.0.1/24
Address=fd00:10:2::1/64
[Route]
Destination=10.77.0.0/16
Gateway=10.2.0.9
[Route]
Destination=10.78.0.0/16
Gateway=10.2.0.9
Table=100
[RoutingPolicyRule]
From=10.2.0.1
Table=100
"""
DEAF = SETTINGS.replace("[Network]\n", "[Network]\nIPv6AcceptRA=no\n")  # else networkd waits for a router
SAYS = "networkctl --no-legend list; networkctl status lan0 | grep File"
DONE = "! networkctl --no-legend list | grep -e configuring -e pending"
CATCH_ALL = "[Match]\nName=*\nName=!lo\n[Network]\nDHCP=no\n"
INTERFACES = """auto wan0
iface wan0 inet static
    address 192.0.2.5/24
    gateway 192.0.2.1
iface wan0 inet6 dhcp
auto lan0
iface lan0 inet static
    address 10.2.0.1/24
    up ip route add 10.77.0.0/16 via 10.2.0.9
    up ip route add 10.78.0.0/16 via 10.2.0.9 table 100
    up ip rule add iif lan0 lookup 100 pref 100
    down ip rule del iif lan0 lookup 100 pref 100
iface lan0 inet6 static
    address fd00:10:2::1/64
"""


@pytest.fixture(params=rootfs.SUITES)
def host(request: pytest.FixtureRequest) -> Iterator[DistributionHost]:
    with distribution_host(rootfs.ensure(print)[request.param]) as made:
        made.install(SITE)
        yield made


def in_bridge(host: DistributionHost, address: str = "10.2.0.1/24") -> None:
    """The LAN and the gateway are one network, and the host is in it with its address, once."""
    assert host.shell("ls /sys/class/net/wgnode-br0/brif").split() == ["lan0", "wgnode-lan"]
    assert re.findall(r" (\S+)\s+inet (10\.2\.\S+)", host.shell("ip -o -4 addr")) == [("wgnode-br0", address)]
    for family, to in ((4, "10.99.0.0/24"), (6, "fd99::/64")):
        assert " dev wgnode-br0 proto 119" in host.shell(f"ip -{family} route show {to}"), host.shell("ip route")


def test_networkd_restarts_reloads_and_is_reconfigured(host: DistributionHost) -> None:
    host.write(f"{NETWORKD}/10-wan.network", f"{WAN}IPv6AcceptRA=no\n")
    host.write(f"{NETWORKD}/20-lan.network", "[Match]\nName=lan0\n" + DEAF)
    host.write(f"{NETWORKD}/99-all.network", CATCH_ALL)
    host.shell("rmdir /run/systemd/network")
    host.networkd()
    host.until(DONE)
    host.settled()
    before, says = host.snapshot(), host.shell(SAYS)
    host.up()
    host.until(DONE)
    host.settled()
    up = host.snapshot()
    in_bridge(host)
    anew = "networkctl reload; networkctl reconfigure lan0 wgnode-br0 wgnode-lan wgnode-wan"
    for change in (anew, f"sh {SCRIPT} up"):
        host.shell(change)
        host.comes_to(up, change)
    host.install(replace(SITE, routes={**ROUTES, "10.98.0.0/24": "10.2.0.2"}))
    host.shell(f"sh {SCRIPT} routes")
    up = host.snapshot()
    assert "10.98.0.0/24 via 10.2.0.2 dev wgnode-br0 proto 119 metric 30000 " in up
    host.networkd()
    host.comes_to(up, "a restart")
    host.shell(f"sed -i s/10.2.0.1/10.2.0.3/ {NETWORKD}/20-lan.network; networkctl reload")
    host.until("ip -4 addr show wgnode-br0 | grep -F 10.2.0.3/24")
    in_bridge(host, "10.2.0.3/24")
    host.shell(f"sed -i s/10.2.0.3/10.2.0.1/ {NETWORKD}/20-lan.network; networkctl reload")
    host.comes_to(up, "as it was")
    host.write(f"{NETWORKD}/20-lan.network.d/later.conf", "[Network]\nAddress=10.2.7.1/24\n")
    host.shell("networkctl reload")
    host.until("ip -4 addr show wgnode-br0 | grep -F 10.2.7.1/24")
    host.shell(f"rm -r {NETWORKD}/20-lan.network.d; networkctl reload")
    host.comes_to(up, "without the drop-in")
    host.down()
    host.up()
    host.comes_to(up, "our own unit's restart")
    host.down()
    host.comes_to(before, "down")
    host.until(DONE)
    assert host.shell(SAYS) == says


def test_networkd_behind_netplan_at_boot(host: DistributionHost) -> None:
    """The gateway's unit may come before networkd is done; what matches is no name, and a drop-in has the address."""
    mac = host.shell("cat /sys/class/net/lan0/address").strip()
    host.write(
        "/run/systemd/network/10-netplan-lan0.network",
        f"[Match]\nMACAddress={mac}\nType=ether\n[Link]\nMTUBytes=1400\n",
    )
    host.write(f"{NETWORKD}/10-netplan-lan0.network.d/more.conf", f"[Network]\nVLAN=lan0.10\nDNS=10.2.0.53\n{SETTINGS}")
    host.write(f"{NETWORKD}/10-vlan.netdev", "[NetDev]\nName=lan0.10\nKind=vlan\n[VLAN]\nId=10\n")
    host.networkd()
    host.up()
    host.until("ip -4 addr show wgnode-br0 | grep -F 10.2.0.1/24")
    host.settled()
    in_bridge(host)
    host.shell(f"sed -i s/10.2.0.1/10.2.0.3/ {NETWORKD}/10-netplan-lan0.network.d/more.conf; sh {SCRIPT} up")
    host.networkd()
    host.until("networkctl status wgnode-br0 | grep -F 10.2.0.53")
    host.until("ip -4 addr show wgnode-br0 | grep -F 10.2.0.3/24")
    host.settled()
    in_bridge(host, "10.2.0.3/24")
    host.down()
    host.until("ip -4 addr show lan0 | grep -F 10.2.0.3/24")
    assert host.shell("ls -d /run/systemd/network/* /run/wgnode* 2>/dev/null || true").splitlines() == [
        "/run/systemd/network/10-netplan-lan0.network"
    ]


def test_what_networkd_would_not_follow_is_named_and_left_as_it_is(host: DistributionHost) -> None:
    rule = "[RoutingPolicyRule]\nIncomingInterface=lan0\nTable=100\n"
    host.write(f"{NETWORKD}/00-00-first.network", f"[Match]\nName=lan0\n{SETTINGS}{rule}")
    host.networkd()
    host.settled()
    before = host.snapshot()
    for verb in ("report", "up"):
        said = host.shell(f"sh {SCRIPT} {verb} 2>&1", check=False)
        assert re.search("00-00-first.network, .*make a rule with IncomingInterface=lan0", said), said
        assert "00-00-first.network, which comes before all others that we could write; give it a name" in said
    host.comes_to(before, "nothing was done")


def test_a_bridge_of_networkds_own_keeps_our_routes(host: DistributionHost) -> None:
    host.write(f"{NETWORKD}/10-br.netdev", "[NetDev]\nName=vmbr0\nKind=bridge\n")
    host.write(f"{NETWORKD}/20-br.network", "[Match]\nName=vmbr*\n" + SETTINGS)
    host.write(f"{NETWORKD}/20-lan.network", "[Match]\nName=lan0\n[Network]\nBridge=vmbr0\n")
    host.write(f"{NETWORKD}/99-all.network", CATCH_ALL)
    host.networkd()
    host.settled()
    before = host.snapshot()
    host.install(replace(SITE, lan="vmbr0"))
    host.up()
    host.settled()
    up = host.snapshot()
    assert host.shell("ls /sys/class/net/vmbr0/brif").split() == ["lan0", "wgnode-lan"]
    assert "dev vmbr0 proto 119" in host.shell("ip route show 10.99.0.0/24")
    host.networkd()
    host.comes_to(up, "a restart")
    host.shell("networkctl reconfigure vmbr0")
    host.comes_to(up, "reconfigured")
    host.down()
    host.comes_to(before, "down")


def test_a_lan_that_networkd_puts_into_a_bridge_of_its_own_later_leaves_ours(host: DistributionHost) -> None:
    into, plain = "[Match]\nName=lan0\n[Network]\nBridge=br-lan\n", f"[Match]\nName=lan0\n{DEAF}"
    bridge = {"10-br.netdev": "[NetDev]\nName=br-lan\nKind=bridge\n", "20-br.network": f"[Match]\nName=br-lan\n{DEAF}"}
    for file, text in {**bridge, "20-lan.network": into}.items():
        host.write(f"{NETWORKD}/{file}", text)
    host.networkd()
    host.until(f"ip -4 addr show br-lan | grep -F 10.2.0.1/24; {DONE}")
    host.settled()
    wanted = host.snapshot()
    host.shell(f"rm {NETWORKD}/*-br.*; pkill -x systemd-network; ip link del br-lan; ip link set lan0 down")
    host.write(f"{NETWORKD}/20-lan.network", plain)
    host.networkd()
    host.until(f"ip -4 addr show lan0 | grep -F 10.2.0.1/24; {DONE}")
    host.up()
    host.until(DONE)
    in_bridge(host)
    for file, text in {**bridge, "20-lan.network": into}.items():
        host.write(f"{NETWORKD}/{file}", text)
    host.shell("networkctl reload")
    host.install(replace(SITE, lan="br-lan"))
    host.up(check=False)  # before networkd has put its addresses there, no route has a next hop
    host.until("ip -4 addr show br-lan | grep -F 10.2.0.1/24")
    host.up()
    assert host.shell("ls /sys/class/net/br-lan/brif").split() == ["lan0", "wgnode-lan"]
    assert not host.shell("ls -d /sys/class/net/wgnode-br0 2>/dev/null", check=False)
    host.down()
    host.comes_to(wanted, "down")


def test_ifupdown_takes_interfaces_down_and_up(host: DistributionHost) -> None:
    host.write("/etc/network/interfaces", INTERFACES)
    host.shell("sysctl -q -w net.ipv6.conf.all.forwarding=1; ifup -a", check=False)  # there is no DHCP client
    host.settled()
    before = host.snapshot()
    host.up()
    host.settled()
    up = host.snapshot()
    in_bridge(host)
    assert "iif wgnode-br0 lookup 100" in host.shell("ip rule")
    assert host.shell("cat /proc/sys/net/ipv6/conf/wan0/accept_ra") == "2\n"
    host.shell("ifdown -a; ifup -a", check=False)
    host.comes_to(up, "a restart")
    assert host.shell("cat /proc/sys/net/ipv6/conf/wan0/accept_ra") == "2\n"
    host.shell("ifdown lan0; sed -i s/10.2.0.1/10.2.0.3/ /etc/network/interfaces; ifup lan0")
    in_bridge(host, "10.2.0.3/24")
    host.shell("ifdown lan0; sed -i s/10.2.0.3/10.2.0.1/ /etc/network/interfaces")
    host.shell("chmod -x /etc/network/if-up.d/wgnode-network")
    assert host.shell(f"sh {SCRIPT} report") == "ifupdown\n"
    host.up(check=False)  # no route has a next hop yet
    assert host.shell(f"sh {SCRIPT} report") == "ifupdown kept\n"
    host.shell("ifup lan0")
    host.comes_to(up, "brought up after us, as at boot")
    host.down()
    host.comes_to(before, "down")


# Router advertisements as radvd sends them (RFC 4861, 4.2 and 4.6.2), for the prefix of the first argument.
ADVERTISE = """import contextlib, ipaddress, socket, struct, sys, time
way = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
way.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
prefix = struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 86400, 14400, 0, ipaddress.ip_address(sys.argv[1]).packed)
while True:
    said = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
    with contextlib.suppress(OSError):  # until the cable has both ends
        way.sendto(said, ("ff02::1", 0, 0, socket.if_nametoindex("lan0")))
    time.sleep(0.3)
"""
LATER = """ip link add new0 type veth peer name new0 netns lan; ip -n lan link set new0 up
printf 'auto new0\\niface new0 inet6 manual\\n' >>/etc/network/interfaces; ifup new0"""
PLUGGED_AGAIN = """ip link del wan0; ip link add wan0 type veth peer name wan0 netns lan; ip -n lan link set wan0 up
ifup --force wan0"""


def test_interfaces_that_come_later_hear_routers_as_they_would_without_us(host: DistributionHost) -> None:
    heard = "cd /proc/sys/net/ipv6/conf; grep . */accept_ra | grep -v wgn"
    host.write("/advertise.py", ADVERTISE.replace("lan0", "new0"))
    interfaces = re.sub(" +(up|down) .*\n", "", INTERFACES).replace("inet6 dhcp", "inet6 auto")
    host.write("/etc/network/interfaces", interfaces)
    host.write("/etc/wgnode/found.json", json.dumps({"sysctls": {"net/ipv6/conf/all/forwarding": "0"}}, indent=1))
    host.shell("ifup -a")
    before = host.shell(heard)
    host.shell(f"sh {SCRIPT} listen; sysctl -q -w net.ipv6.conf.all.forwarding=1")
    host.up()
    host.shell("ifup --force lan0")
    in_bridge(host)
    host.shell(LATER)
    host.shell("ip netns exec lan setsid python3 /advertise.py fd00:bb:: </dev/null >/dev/null 2>&1 &")
    host.until("ip addr show new0 | grep fd00:bb: && ip -6 route show default dev new0 | grep .")
    host.shell(PLUGGED_AGAIN)
    assert set(re.findall(r"(\S+)/accept_ra:2", host.shell(heard))) == {"default", "lan0", "new0", "wan0"}
    assert host.shell("cat /proc/sys/net/ipv6/conf/wgnode-wan/accept_ra") == "0\n", "a guest is no router"
    host.down()
    host.shell("ifdown new0; ip link del new0; sysctl -q -w net.ipv6.conf.all.forwarding=0")
    assert host.shell(heard) == before


LISTENING = {
    "the kernel": "ip link set lan0 up; ip addr add 10.2.0.1/24 dev lan0",
    "networkd": f"printf '[Match]\\nName=lan0\\n{SETTINGS.replace(chr(10), chr(92) + 'n')}' >{NETWORKD}/20-lan.network",
}


@pytest.mark.parametrize("listener", LISTENING)
def test_what_a_router_in_the_lan_advertises_stays(host: DistributionHost, listener: str) -> None:
    host.write("/advertise.py", ADVERTISE)
    host.shell("ip netns exec lan setsid python3 /advertise.py fd00:aa:: </dev/null >/dev/null 2>&1 &")
    host.shell(LISTENING[listener])
    if listener == "networkd":
        host.networkd()
    host.until("ip addr show lan0 | grep fd00:aa: && ip -6 route show default dev lan0 | grep .")
    address = re.search(r"fd00:aa:\S+", host.shell("ip addr show lan0"))
    assert address is not None
    host.shell("sysctl -q -w net.ipv6.conf.all.forwarding=1")
    host.up(check=False)
    arrived = f"ip addr show wgnode-br0 | grep -A1 {address[0]} | grep -E ' valid_lft (86400|86399)sec'"
    routed = "ip -6 route show default dev wgnode-br0 | grep -E 'expires (1800|1799)sec'"
    nowhere_else = "! ip addr show lan0 | grep fd00: && ! ip -6 route show default dev lan0 | grep ."
    host.until(f"{arrived} && {routed} && {nowhere_else}", 2)
    host.shell("sleep 3")
    host.until(f"{arrived} && {routed} && {nowhere_else}", 2)
    if listener == "networkd":
        host.networkd()
        host.until(f"{arrived} && {routed} && {nowhere_else}")
    host.down()
    host.shell("sysctl -q -w net.ipv6.conf.all.forwarding=0")
    host.until(f"ip addr show lan0 | grep {address[0]} && ip -6 route show default dev lan0 | grep .")
    host.shell("sleep 0.5")
    assert len(host.shell("ip -6 route show default").splitlines()) == 1
