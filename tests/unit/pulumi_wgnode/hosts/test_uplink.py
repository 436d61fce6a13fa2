"""Which interface a host's traffic leaves by, from what `ip` says; bonds, VLANs and VRFs the lab's kernel lacks."""

from __future__ import annotations

import json
import re

import pytest

from pulumi_wgnode.hosts.host import Result
from pulumi_wgnode.hosts.networks import uplink
from pulumi_wgnode.hosts.networks.routing import Routing, parse

GUESTS = ("172.31.255.254/30", "fd77:676e:6f64:6500::2/126")
RULES = [
    {"priority": 0, "src": "all", "table": "local"},
    {"priority": 32766, "src": "all", "table": "main"},
    {"priority": 32767, "src": "all", "table": "default"},
]


def link(name, *addresses, kind=None, slave=None, **more):
    """As `ip -j -d addr show` has it."""
    made = {"ifname": name, "flags": ["BROADCAST", "UP"], "addr_info": [], **more}
    for address in addresses:
        local, length = address.split("/")
        made["addr_info"].append({"family": "inet", "local": local, "prefixlen": int(length), "scope": "global"})
    if kind or slave:
        made["linkinfo"] = {"info_kind": kind} if kind else {}
        made["linkinfo"] |= {"info_slave_kind": slave} if slave else {}
    return made


def default(device, **more):
    return {"dst": "default", "gateway": "198.51.100.1", "dev": device, "flags": [], **more}


def routing(*routes, six=(), rules=RULES, six_rules=RULES[:2]):
    parts = (json.dumps(one) for one in (routes, rules, six, six_rules))
    return parse(Result(0, "".join(f"{part}\n--\n" for part in parts), ""))


def site(name, lan="lan0", peers=()):
    return uplink.site_of(name, lan, "wgnode-wan", GUESTS, 51820, peers)


LO, LAN = link("lo", "127.0.0.1/8"), link("lan0", "10.1.0.1/24")
ADDRESS = "198.51.100.2/24"


@pytest.mark.parametrize(
    ("links", "device", "given", "what", "way_out"),
    [
        (
            [link("eno1", master="vmbr0", slave="bridge"), link("vmbr0", ADDRESS, kind="bridge")],
            "vmbr0",
            "eno1",
            "a port of the bridge vmbr0; traffic leaves by vmbr0",
            "the uplink eno1 is a port of the bridge vmbr0: .* set `uplink: vmbr0` in the site's stack file",
        ),
        (
            [link("eno1", master="bond0", slave="bond"), link("bond0", ADDRESS, kind="bond")],
            "bond0",
            "eno1",
            "a slave of the bond bond0; traffic leaves by bond0",
            "set `uplink: bond0`",
        ),
        (  # Proxmox with a bond
            [
                link("eno1", master="bond0", slave="bond"),
                link("bond0", kind="bond", slave="bridge", master="vmbr0"),
                link("vmbr0", ADDRESS, kind="bridge"),
            ],
            "vmbr0",
            "eno1",
            "a slave of the bond bond0; traffic leaves by vmbr0",
            "what comes in by it comes in by vmbr0, .*set `uplink: vmbr0`",
        ),
        (  # a VLAN on a bridge
            [
                link("eno1", master="vmbr0", slave="bridge"),
                link("vmbr0", kind="bridge"),
                link("vmbr0.5", ADDRESS, kind="vlan", link="vmbr0"),
            ],
            "vmbr0.5",
            "eno1",
            "a port of the bridge vmbr0; traffic leaves by vmbr0.5",
            "set `uplink: vmbr0.5`",
        ),
        (
            [link("eno1", "10.0.0.9/24"), link("eno1.5", ADDRESS, kind="vlan", link="eno1")],
            "eno1.5",
            "eno1",
            "not where traffic leaves, which is eno1.5",
            r"traffic does not leave by the uplink eno1, but by the VLAN eno1.5 on it \(IPv4 by eno1.5\)",
        ),
        (
            [link("eno1", ADDRESS), link("eno1.5", "10.0.0.9/24", kind="vlan", link="eno1")],
            "eno1",
            "eno1.5",
            "not where traffic leaves, which is eno1",
            "not leave by the uplink eno1.5, but by eno1, which it is on .*set `uplink: eno1`",
        ),
        (
            [link("eno1"), link("mac0", ADDRESS, kind="macvlan", link="eno1")],
            "mac0",
            "eno1",
            "not where traffic leaves, which is mac0",
            "by the macvlan mac0 on it",
        ),
        (
            [link("eno1"), link("ppp0", "198.51.100.2/32", kind="ppp")],
            "ppp0",
            "eno1",
            "not where traffic leaves, which is ppp0",
            r"\(IPv4 by ppp0\); traffic leaves by ppp0: set `uplink: ppp0`",
        ),
        (
            [link("eth3", ADDRESS, altnames=["enp3s0", "eno1"])],
            "eth3",
            "eno1",
            "only another name of eth3",
            "set `uplink: eth3`",
        ),
        (
            [link("eth3", ADDRESS)],
            "eth3",
            "eno1",
            "missing; traffic leaves by eth3",
            "there is no uplink interface eno1; there are eth3, lan0; traffic leaves by eth3: set `uplink: eth3` in",
        ),
        (
            [
                link("eno1", master="wgnode-br0", slave="bridge"),
                link("wgnode-br0", kind="bridge"),
                link("eno2", ADDRESS),
            ],
            "eno2",
            "eno1",
            "a port of the bridge wgnode-br0; traffic leaves by eno2",
            "set `uplink: eno2`",
        ),
        (
            [link("eno1", ADDRESS, master="blue", slave="vrf"), link("blue", kind="vrf")],
            "eno1",
            "eno1",
            "in the VRF blue",
            "the uplink eno1 is in the VRF blue, .*take the interface .* out of it",
        ),
        ([link("blue", kind="vrf")], "blue", "blue", "a VRF", "the uplink blue is a VRF"),
        (
            [link("eno1", master="ovs-system", slave="openvswitch"), link("br-ex", ADDRESS, kind="openvswitch")],
            "br-ex",
            "eno1",
            "a port of Open vSwitch, ovs-system; traffic leaves by br-ex",
            "set `uplink: br-ex`",
        ),
        (
            [link("eno1", master="team0", slave="team"), link("team0", ADDRESS, kind="team")],
            "team0",
            "eno1",
            "a port of the team team0; traffic leaves by team0",
            "set `uplink: team0`",
        ),
        ([link("wgnode-wan")], "eno1", "wgnode-wan", "a link of a gateway", "is a link of a gateway"),
    ],
)
def test_an_uplink_that_is_none_is_named_with_what_it_is_and_the_way_out(links, device, given, what, way_out):
    found = uplink.judged(json.dumps([LO, *links, LAN]), routing(default(device)), site(given))
    assert found.what == what
    assert not found.sound
    assert re.search(way_out, found.way_out)
    assert found.way_out.count("stack file") == 1


@pytest.mark.parametrize(
    ("kind", "name"), [("bridge", "vmbr0"), ("bond", "bond0"), ("vlan", "eno1.5"), ("macvlan", "mac0"), ("ppp", "ppp0")]
)
def test_whatever_has_the_address_and_the_route_is_an_uplink(kind, name):
    links = json.dumps([LO, link("eno1"), link(name, ADDRESS, kind=kind), LAN])
    assert uplink.judged(links, routing(default(name)), site(name)) == uplink.Finding()


TWO = json.dumps([LO, link("wan0", ADDRESS), link("wan1", "203.0.113.2/24"), LAN])


@pytest.mark.parametrize(
    ("routes", "six", "sound"),
    [
        ([default("wan0", metric=100), default("wan1", metric=200)], [], ["wan0"]),
        ([default("wan0", metric=300), default("wan1", metric=200)], [], ["wan1"]),
        ([default("wan0")], [default("wan1", metric=1024)], ["wan0", "wan1"]),
        ([], [default("wan1", metric=1024)], ["wan1"]),
        ([default("wan1", table="77")], [default("wan0")], ["wan0"]),
        ([default("wan0", flags=["dead", "linkdown"]), default("wan1", metric=5)], [], ["wan1"]),
        ([{"type": "unreachable", "dst": "default", "flags": []}], [default("wan0")], ["wan0"]),
        ([default("wan0"), {"dst": "0.0.0.0/1", "dev": "wan1"}, {"dst": "128.0.0.0/1", "dev": "wan1"}], [], ["wan1"]),
        ([], [{"dst": "2000::/3", "dev": "wan1"}, default("wan0")], ["wan1"]),
        ([{"dst": "default", "nexthops": [{"dev": "wan0"}, {"dev": "wan1"}]}], [], []),
        ([{"dst": "default", "nexthops": [{"dev": "wan0"}, {"dev": "wan1", "flags": ["dead"]}]}], [], ["wan0"]),
        ([{"dst": "198.51.100.0/24", "dev": "wan0"}], [], ["wan0", "wan1"]),
        ([default("wan0"), default("wan1", tos="0x10")], [], ["wan0"]),
        ([{**default("wan1"), "encap": "ip", "tos": 0}], [], ["wan1"]),
        ([], [default("wan0"), default("wan1", **{"from": "2001:db8:9::/64"})], ["wan0"]),
        ([], [default("wan0"), default("wan1", **{"from": "fd77:676e:6f64:6500::/64"})], ["wan1"]),
    ],
)
def test_of_two_ways_out_the_one_that_is_taken_is_right(routes, six, sound):
    told = routing(*routes, six=six)
    assert [name for name in ("wan0", "wan1") if uplink.judged(TWO, told, site(name)).sound] == sound


@pytest.mark.parametrize(
    ("rule", "sound"),
    [
        ({"src": "all", "table": "77"}, "wan1"),
        ({"src": "172.31.255.252", "srclen": 30, "table": "77"}, "wan1"),
        ({"src": "198.51.100.2", "table": "77"}, "wan0"),
        ({"src": "all", "iif": "wgnode-wan", "table": "77"}, "wan1"),
        ({"src": "all", "iif": "lan0", "table": "77"}, "wan0"),
        ({"src": "all", "oif": "wan1", "table": "77"}, "wan0"),
        ({"src": "all", "fwmark": "0xca6c", "table": "77"}, "wan0"),
        ({"not": None, "src": "all", "fwmark": "0xca6c", "table": "77"}, "wan1"),
        ({"src": "all", "ipproto": "udp", "sport": 51820, "table": "77"}, "wan1"),
        ({"src": "all", "ipproto": "tcp", "table": "77"}, "wan0"),
        ({"src": "all", "sport_start": 1, "sport_end": 1024, "table": "77"}, "wan0"),
        ({"src": "all", "uid_start": 1000, "uid_end": 1000, "table": "77"}, "wan0"),
        ({"src": "all", "table": "77", "suppress_prefixlen": 0}, "wan0"),
        ({"src": "all", "tos": "0x10", "table": "77"}, "wan0"),
        ({"src": "all", "l3mdev": None}, "wan0"),
        ({"src": "all", "dst": "10.0.0.0", "dstlen": 8, "table": "77"}, "wan0"),
        ({"src": "all", "goto": 20}, "wan1"),
        ({"src": "all", "goto": 17}, "wan0"),
    ],
)
def test_rules_choose_the_table_as_for_the_gateway_s_packets(rule, sound):
    rules = [RULES[0], {"priority": 10, **rule}, {"priority": 15, "src": "all", "table": "main"}]
    rules += [{"priority": 20, "src": "all", "table": "77"}]
    told = routing(default("wan0"), default("wan1", table="77"), rules=rules)
    assert [name for name in ("wan0", "wan1") if uplink.judged(TWO, told, site(name)).sound] == [sound]


def test_the_outer_addresses_of_a_route_that_encapsulates_are_not_its_own():
    said = '[{"dst":"default","encap":"ip","id":5,"src":"0.0.0.0","dst":"10.9.0.2","ttl":0,"tos":0,"dev":"wan1"}]'
    (route,) = parse(Result(0, f"{said}\n--\n[]\n--\n[]\n--\n[]\n--\n", "")).routes
    assert str(route) == "default dev wan1"


def test_where_the_other_sites_are_decides_and_what_goes_another_way_is_told():
    routes = [default("wan1"), {"dst": "192.0.2.0/24", "gateway": "198.51.100.1", "dev": "wan0"}]
    told = routing(*routes)
    assert not uplink.judged(TWO, told, site("wan0")).sound
    both = site("wan0", peers=["192.0.2.7", "203.0.113.77", "2001:db8::7"])
    assert uplink.judged(TWO, told, both).sound
    assert uplink.partly(told, both) == ["203.0.113.77 by wan1"]
    assert not uplink.judged(TWO, told, site("wan1", peers=["192.0.2.7"])).sound


def test_several_ways_in_turn_are_refused_with_how_to_give_the_gateway_one():
    told = routing({"dst": "default", "nexthops": [{"dev": "wan0"}, {"dev": "wan1"}]})
    found = uplink.judged(TWO, told, site("wan0"))
    assert found.what == "one of several ways; traffic leaves by wan0 and wan1 in turn"
    assert "`ip rule add iif wgnode-wan lookup N`" in found.way_out


def test_where_nothing_leads_out_a_missing_uplink_is_to_be_corrected():
    found = uplink.judged(json.dumps([LO, LAN]), routing(), site("eno1"))
    told = "there is no uplink interface eno1; there are lan0; correct it in the site's stack file"
    assert (found.what, found.way_out) == ("missing", told)


def test_an_uplink_without_address_or_route_is_told_where_nothing_leads_out():
    links = json.dumps([LO, link("wan0"), LAN])
    local = {"type": "local", "dst": "127.0.0.1", "dev": "lo", "table": "local"}
    told = routing({"dst": "10.1.0.0/24", "dev": "lan0"}, local)
    assert "without an address" in uplink.judged(links, told, site("wan0")).what
    assert uplink.judged(links, Routing(), site("wan0")).sound, "a host that tells nothing of its routes"


def test_a_lan_that_is_the_uplink_s_bridge_or_in_it_is_told():
    links = json.dumps([LO, link("eno1", master="vmbr0", slave="bridge"), link("vmbr0", ADDRESS, kind="bridge")])
    found = uplink.judged(links, routing(default("vmbr0")), site("eno1", lan="vmbr0"))
    assert "vmbr0, which is given as the LAN's interface: the LAN needs one of its own" in found.way_out
    assert "the LAN interface eno1 carries the uplink vmbr0" in uplink.lan_of_uplink(links, site("vmbr0", lan="eno1"))
    assert uplink.lan_of_uplink(links, site("vmbr0")) == ""
