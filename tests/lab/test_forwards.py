"""What our table closes, leaves open and does not open, by packets through a host with a third network and a container.

[w 198.51.100.9] -- wan0 [h] lan0 -- [c 10.1.0.50]
                         [h] eth2 -- [o 10.7.0.9]
[v 203.0.113.9]  -- wan1 [h] dock (a bridge) -- [d 172.20.0.2], its port 8000 published as 8080
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from ipaddress import ip_network

import pytest

from tests.lab.interop import Namespace, run
from tests.lab.other_firewalls import GUEST, TRANSIT, address, fetched, serve_tcp
from wgnode.firewall import meanwhile, nft
from wgnode.firewall.forwards import Before, Forward
from wgnode.firewall.rules import PLAIN_TABLE, Firewall, ruleset
from wgnode.image.paths import Paths
from wgnode.topology.transit import Transit

pytestmark = pytest.mark.lab

INSIDE = ("lan0", "eth2", "dock")  # as the host's routes tell: they lead nowhere
FIREWALL = Firewall(
    "wan0", tuple(ip_network(one, strict=False) for one in TRANSIT), GUEST, 51820, (), left_alone=INSIDE
)
OFF = Before((), ("lan0", "dock"))
LAN6 = Forward(to=ip_network("2001:db8:1::/64"))
MARKED = """table inet marked {
    chain before { type filter hook prerouting priority -300; meta mark set 0xffffffff; }
    chain behind { type filter hook forward priority 30; iifname "wan*" meta mark & 0x01000000 != 0 counter; }
}"""
PUBLISHED = """table ip nat {
    chain pre { type nat hook prerouting priority -100; fib daddr type local tcp dport 8080 dnat to 172.20.0.2:8000; }
}"""
SECOND = Paths("0b1c2d3e")
_LINK = Transit.of("172.31.255.248/30", "fd77:676e:6f64:6501::/126")
OF_SECOND = replace(
    FIREWALL,
    transit=_LINK.networks,
    guest=tuple(one.split("/")[0] for one in _LINK.guest),
    listen_port=51821,
    transit_interface=SECOND.transit_tap,
)
OTHERS = {"c": ("10.1.0.50", "2001:db8:1::50"), "o": ("10.7.0.9", "2001:db8:7::9")}
OTHERS |= {"d": ("172.20.0.2", "2001:db8:20::2")}


class Router:
    """`lan0` and `dock` are bridges, as a LAN's and Docker's are."""

    def __init__(self) -> None:
        name = secrets.token_hex(3)
        self.spaces = {end: Namespace(f"wgr-{name}-{end}") for end in ("h", "w", "v", "c", "o", "d")}
        self.host, self.world = self.spaces["h"], self.spaces["w"]

    def wire(self, servers: ExitStack) -> None:
        for space in self.spaces.values():
            space.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0")
        for end, link in (("w", "wan0"), ("v", "wan1"), ("c", "port1"), ("o", "eth2"), ("d", "port2")):
            self.cable(self.spaces[end], link)
        for bridge, port in (("lan0", "port1"), ("dock", "port2")):
            self.host.run("sh", "-ec", f"ip link add {bridge} type bridge; ip link set {port} master {bridge} up")
        ours = {"wan0": "198.51.100.1/24 2001:db8::1/64", "lan0": "10.1.0.1/24 2001:db8:1::1/64"}
        ours |= {"eth2": "10.7.0.1/24 2001:db8:7::1/64", "dock": "172.20.0.1/24 2001:db8:20::1/64"}
        ours["wan1"] = "203.0.113.1/24 2001:db8:5::1/64"
        for link, addresses in ours.items():
            address(self.host, link, *addresses.split())
        address(self.world, "e0", "198.51.100.9/24", "2001:db8::9/64", "198.51.100.1", "2001:db8::1")
        address(self.spaces["v"], "e0", "203.0.113.9/24", "2001:db8:5::9/64", "203.0.113.1", "2001:db8:5::1")
        for end, (four, six) in OTHERS.items():
            hops = [f"{one.rpartition(last)[0]}{last}1" for one, last in ((four, "."), (six, "::"))]
            address(self.spaces[end], "e0", f"{four}/24", f"{six}/64", *hops)
            for own in (four, six):
                servers.callback(serve_tcp(self.spaces[end], own))
        self.host.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.host.run("nft", "-f", "-", text=PUBLISHED)

    def cable(self, far: Namespace, link: str) -> None:
        run("ip", "-n", far.name, "link", "add", "e0", "type", "veth", "peer", "name", link, "netns", self.host.name)

    def load(self, firewall: Firewall, table: str = PLAIN_TABLE) -> None:
        self.host.run("nft", "-f", "-", text=nft.script(ruleset(firewall), table))

    def reached(self, *ways: tuple[str, str, int] | tuple[str, str]) -> list[bool]:
        """Of each way (from which end, to which address, which port) whether TCP comes through, tried at once."""
        with ThreadPoolExecutor(len(ways)) as pool:
            return list(pool.map(lambda way: self.spaces[way[0]].call(partial(fetched, *way[1:])), ways))


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    made = Router()
    try:
        with ExitStack() as servers:
            made.wire(servers)
            yield made
    finally:
        for space in made.spaces.values():
            space.close()


def test_what_is_forwarded_from_the_uplink_is_closed_unless_it_is_named_or_kept(router: Router) -> None:
    ways = [("w", "198.51.100.1", 8080), ("w", "2001:db8:1::50"), ("w", "2001:db8:7::9"), ("w", "10.7.0.9")]
    router.load(FIREWALL)
    assert router.reached(*ways) == [False, False, False, False]
    router.load(replace(FIREWALL, forward=(Forward("tcp", 8080), Forward(to=ip_network("2001:db8:1::/64")))))
    assert router.reached(*ways) == [True, True, False, False]
    router.load(replace(FIREWALL, keep=True, before=Before((6,), ("lan0", "dock"))))
    assert router.reached(*ways) == [True, True, True, False], "IPv4 was not forwarded before"


def test_other_interfaces_get_no_ways_between_them_because_forwarding_is_switched_on(router: Router) -> None:
    ends = [("o", OTHERS["c"]), ("c", OTHERS["o"]), ("c", ("198.51.100.9", "2001:db8::9"))]
    ways = [(end, to) for end, both in ends for to in both]
    servers = [serve_tcp(router.world, own) for own in ends[-1][1]]
    router.load(replace(FIREWALL, before=Before((4, 6), ())))
    assert set(router.reached(*ways)) == {True}, "as the host was a router already"
    router.load(replace(FIREWALL, before=OFF))
    assert set(router.reached(*ways)) == {False}
    assert router.reached(("o", "10.7.0.1", 8080)) == [True], "somebody translates it"
    router.load(replace(FIREWALL, before=Before((4,), OFF.bridges)))
    assert router.reached(*ways) == [True, False] * 3
    for stop in servers:
        stop()


@pytest.fixture
def load_both(router: Router) -> Iterator[Callable[..., None]]:
    def load(first: Firewall, second: Firewall, order: int = 1) -> None:
        for firewall, table in [(first, PLAIN_TABLE), (second, SECOND.table)][::order]:
            router.load(firewall, table)

    yield load
    router.host.run("nft", "delete", "table", "inet", SECOND.table)


@pytest.mark.parametrize(("uplink", "order"), [("wan0", 1), ("wan1", -1)])
def test_what_one_of_two_gateways_forwards_the_other_does_not_close_also_by_another_uplink(
    router: Router, load_both: Callable[..., None], uplink: str, order: int
) -> None:
    ways = [("w", "198.51.100.1", 8080), ("w", "2001:db8:1::50"), ("w", "2001:db8:7::9"), ("w", "10.7.0.9")]
    ways += [("v", "203.0.113.1", 8080), ("v", "2001:db8:1::50"), ("v", "2001:db8:7::9"), ("v", "10.7.0.9")]
    first, second = FIREWALL, replace(OF_SECOND, uplink=uplink)
    load_both(replace(first, forward=(Forward("tcp", 8080),)), replace(second, forward=(LAN6,)), order)
    assert router.reached(*ways) == [True, True, False, False] * 2
    load_both(first, replace(second, keep=True), order)
    assert set(router.reached(*ways)) == {True}


def test_a_way_that_is_new_and_wanted_by_one_of_two_gateways_the_other_does_not_close(
    router: Router, load_both: Callable[..., None]
) -> None:
    ways = [("o", one) for one in OTHERS["c"]]
    off = replace(FIREWALL, before=OFF), replace(OF_SECOND, before=OFF)
    load_both(off[0], off[1])
    assert router.reached(*ways) == [False, False]
    load_both(off[0], replace(off[1], before=replace(OFF, left_alone=("eth2",))))
    assert router.reached(*ways) == [True, True]
    load_both(replace(off[0], forward=(LAN6,)), off[1], -1)
    assert router.reached(ways[1]) == [True]


def test_a_mark_of_somebody_else_opens_no_way_and_nobody_behind_sees_ours(router: Router) -> None:
    router.host.run("nft", "-f", "-", text=MARKED)
    try:
        router.load(replace(FIREWALL, forward=(LAN6,)))
        ways = [("w", "2001:db8:1::50"), ("w", "2001:db8:7::9"), ("v", "2001:db8:1::50"), ("v", "2001:db8:7::9")]
        assert router.reached(*ways) == [True, False] * 2
        assert "packets 0 bytes 0" in router.host.run("nft", "list", "chain", "inet", "marked", "behind")
    finally:
        router.host.run("nft", "delete", "table", "inet", "marked")


def test_until_its_firewall_is_loaded_a_host_that_was_switched_on_forwards_nothing_for_others(router: Router) -> None:
    ways = [("o", OTHERS["c"][0]), ("c", OTHERS["o"][1]), ("d", "10.7.0.9"), ("w", OTHERS["c"][1])]
    router.host.run("nft", "delete", "table", "inet", PLAIN_TABLE, check=False)
    assert set(router.reached(*ways)) == {True}, "as it would be without"
    router.host.run("nft", "-f", "-", text=meanwhile.script(OFF))
    assert set(router.reached(*ways)) == {False}
    assert router.reached(("w", "198.51.100.1", 8080)) == [True], "somebody translates it"
    of_lan = replace(OFF, left_alone=("eth2",))
    router.host.run("nft", "-f", "-", text=nft.script(ruleset(replace(FIREWALL, before=of_lan))) + meanwhile.REMOVAL)
    assert router.reached(ways[0]) == [True], "what the firewall opens is not closed by what stood in for it"


def test_machines_in_one_bridge_reach_each_other_also_where_br_netfilter_shows_their_frames(router: Router) -> None:
    near = Namespace(f"{router.host.name}2")
    try:
        run(
            "ip",
            "-n",
            near.name,
            "link",
            "add",
            "e0",
            "type",
            "veth",
            "peer",
            "name",
            "port3",
            "netns",
            router.host.name,
        )
        router.host.run(
            "sh", "-ec", "ip link set port3 master lan0 up; sysctl -qw net.bridge.bridge-nf-call-iptables=1"
        )
        near.run("sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0")
        address(near, "e0", "10.1.0.51/24", "2001:db8:1::51/64")
        router.load(replace(FIREWALL, before=OFF))
        assert near.call(partial(fetched, "10.1.0.50", 8000))
        assert near.call(partial(fetched, "2001:db8:1::50", 8000))
    finally:
        near.close()


def test_dhcpv6_answers_from_a_global_address_come_in(router: Router) -> None:
    router.load(FIREWALL)
    near = router.host.run("ip", "-6", "-o", "addr", "show", "dev", "wan0", "scope", "link").split()[3].split("/")[0]
    index = int(router.host.run("cat", "/sys/class/net/wan0/ifindex"))
    there = int(router.world.run("cat", "/sys/class/net/e0/ifindex"))
    client = router.host.call(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
    server = router.world.call(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
    with client, server:
        client.bind((near, 546, 0, index))
        client.settimeout(1.5)
        server.bind(("2001:db8::9", 547))
        server.sendto(b"reply", (near, 546, 0, there))
        assert client.recv(10) == b"reply"
