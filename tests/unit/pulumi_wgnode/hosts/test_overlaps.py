"""What of a mesh's networks a host has something of its own in: what is refused, what is told, what is fine."""

from __future__ import annotations

import json
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_wgnode.hosts.host import Result
from pulumi_wgnode.hosts.networks import overlaps, routing
from pulumi_wgnode.hosts.networks.host_networks import Index, There, Wanted
from pulumi_wgnode.hosts.networks.network import Network
from tests.unit.pulumi_wgnode.fake_host import link

OWN = Network("wan0", "lan0", ("172.31.255.253/30",), {"10.2.0.0/24": "10.1.0.2"})
RULES = [
    {"priority": 0, "src": "all", "table": "local"},
    {"priority": 32766, "src": "all", "table": "main"},
    {"priority": 32767, "src": "all", "table": "default"},
]


def route(to, **more):
    """As `ip -j route show table all` has it."""
    return {"dst": to, "flags": [], **more}


def connected(to, device, **more):
    return route(to, dev=device, protocol="kernel", scope="link", **more)


HOME = [
    route("default", gateway="192.168.1.1", dev="wan0", protocol="dhcp", metric=100),
    connected("10.1.0.0/24", "lan0"),
    connected("192.168.1.0/24", "wan0"),
    {"type": "local", "table": "local", **connected("192.168.1.10", "wan0")},
    {"type": "broadcast", "table": "local", **connected("192.168.1.255", "wan0")},
]
HOME6 = [connected("fd00:1::/64", "wan0", metric=256), route("default", gateway="fe80::1", dev="wan0", protocol="ra")]
LINKS = {
    "lo": link("lo", "127.0.0.1/8", "::1/128"),
    "wan0": link("wan0", "192.168.1.10/24", "fd00:1::10/64", "fe80::10/64"),
    "lan0": link("lan0", "10.1.0.1/24", "fd00:10:1::1/64"),
    "wgnode-wan": link("wgnode-wan", "172.31.255.253/30", kind="tun"),
}


def judged(*wanted, routes=(), routes6=(), rules=(), rules6=(), links=()):
    """A home's host with more of each; whose network each wanted one is, is told as well."""
    texts = [[*HOME, *routes], [*RULES, *rules], [*HOME6, *routes6], [*RULES, *rules6]]
    said = Result(0, "".join(f"{json.dumps(text)}\n--\n" for text in texts), "")
    there = list({**LINKS, **{one["ifname"]: one for one in links}}.values())
    networks = [Wanted(ip_network(one), "site 'cabin'") for one in wanted]
    return overlaps.judge(networks, There.of(json.dumps(there), routing.parse(said), OWN))


def refused(*wanted, **more):
    return [f"{one.wanted}: {one.held.text}" for one in judged(*wanted, **more).refused]


@pytest.mark.parametrize(
    ("wanted", "held"),
    [
        ("192.168.1.0/24", "wan0 has 192.168.1.10/24"),
        ("192.168.0.0/16", "wan0 has 192.168.1.10/24"),
        ("192.168.1.128/25", "wan0 has 192.168.1.10/24"),
        ("192.168.1.77/32", "wan0 has 192.168.1.10/24"),
        ("10.1.0.0/16", "lan0 has 10.1.0.1/24"),
        ("fd00:1::/64", "wan0 has fd00:1::10/64"),
        ("fd00::/16", "wan0 has fd00:1::10/64"),
        ("fd00:1:0:0:8000::/65", "wan0 has fd00:1::10/64"),
    ],
)
def test_a_network_that_the_host_is_in_is_refused_however_the_two_overlap(wanted, held):
    found = judged(wanted)
    assert f"{wanted} of site 'cabin': {held}" in [f"{one.wanted}: {one.held.text}" for one in found.refused]
    assert found.told == ()


@pytest.mark.parametrize(
    ("wanted", "held", "more"),
    [
        ("172.17.0.0/16", "docker0 has 172.17.0.1/16", {"links": [link("docker0", "172.17.0.1/16", kind="bridge")]}),
        ("172.16.0.0/12", "docker0 has 172.17.0.1/16", {"links": [link("docker0", "172.17.0.1/16", kind="bridge")]}),
        ("10.2.0.0/24", "br9 has 10.2.0.5/32", {"links": [link("br9", "10.2.0.5/32")]}),
        (
            "10.2.0.0/24",
            "wgnode-br0 has 10.2.0.1/24",
            {"links": [link("wgnode-br0", "10.2.0.1/24", kind="bridge"), link("lan0", master="wgnode-br0")]},
        ),
        (
            "172.31.255.248/30",
            "wgnwan-0b1c2d3e has 172.31.255.249/30",
            {"links": [link("wgnwan-0b1c2d3e", "172.31.255.249/30", kind="tun")]},
        ),
        (
            "172.31.1.0/24",
            "172.31.1.1 is the next hop of its route default via 172.31.1.1 dev wan0",
            {"routes": [route("default", gateway="172.31.1.1", dev="wan0")]},
        ),
        (
            "172.31.1.0/24",
            "172.31.1.1 is the next hop of its route 10.0.0.0/8 via 172.31.1.1 via 172.31.2.1 dev wan0",
            {
                "routes": [
                    route(
                        "10.0.0.0/8",
                        nexthops=[{"gateway": "172.31.1.1", "dev": "wan0"}, {"gateway": "172.31.2.1", "dev": "wan0"}],
                    )
                ]
            },
        ),
        (
            "10.7.0.0/24",
            "it has the route 10.7.0.0/24 via 192.168.1.9 dev wan0 metric 200",
            {"routes": [route("10.7.0.0/24", gateway="192.168.1.9", dev="wan0", metric=200, protocol="static")]},
        ),
        ("10.7.0.0/24", "it has the route 10.7.0.0/24 dev wg0", {"routes": [route("10.7.0.0/24", dev="wg0")]}),
        (
            "10.7.0.0/24",
            "it has the route 10.7.0.0/24 dev wg0 table 100",
            {"routes": [route("10.7.0.0/24", dev="wg0", table="100")]},
        ),
        ("10.7.0.0/24", "the route blackhole 10.7.0.0/24", {"routes": [route("10.7.0.0/24", type="blackhole")]}),
        ("10.7.0.9/32", "the route 10.7.0.9/32 dev wg0", {"routes": [route("10.7.0.9", dev="wg0")]}),
        (
            "10.7.0.0/16",
            "the route local 10.7.3.0/24 dev lo table local",
            {"routes": [route("10.7.3.0/24", type="local", dev="lo", table="local")]},
        ),
        (
            "10.7.0.0/16",
            "the route 10.7.0.1/32 dev wan0",
            {"routes": [route("10.7.0.1", dev="wan0", protocol="dhcp", scope="link")]},
        ),
        (
            "fd00:7::/48",
            "the route fd00:7:0:1::/64 dev wan0 metric 1024",
            {"routes6": [route("fd00:7:0:1::/64", dev="wan0", protocol="ra", metric=1024)]},
        ),
    ],
)
def test_what_else_the_host_has_there_is_refused_by_name(wanted, held, more):
    (found, *_) = judged(wanted, **more).refused
    assert str(found.wanted) == f"{wanted} of site 'cabin'"
    assert held in found.held.text


def test_the_other_end_of_a_point_to_point_address_is_where_the_host_is():
    tunnel = link("tun0")
    tunnel["addr_info"] = [
        {"family": "inet", "local": "10.8.0.6", "address": "10.9.0.5", "prefixlen": 32, "scope": "global"}
    ]
    assert refused("10.8.0.0/24", links=[tunnel]) == []
    assert refused("10.9.0.0/24", links=[tunnel]) == ["10.9.0.0/24 of site 'cabin': tun0 has 10.8.0.6/32"]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"routes": [route("10.0.0.0/8", gateway="192.168.1.9", dev="wan0")]},
        {"routes": [route("10.0.0.0/8", dev="wg0", scope="link")]},
        {"routes": [route("0.0.0.0/1", gateway="10.8.0.1", dev="tun0")]},
        {"routes": [route("10.0.0.0/8", type="blackhole")]},
        {"routes": [route("10.2.0.0/24", type="blackhole", metric=4000000)]},
        {"routes": [route("10.2.0.0/24", gateway="192.168.1.9", dev="wan0", metric=30001)]},
        {"routes": [route("10.2.0.0/24", gateway="10.1.0.2", dev="wgnode-br0", protocol="119", metric=30000)]},
        {"routes": [route("10.2.0.0/24", gateway="10.1.0.2", dev="lan0", protocol="static")]},
        {"routes": [route("10.2.0.0/24", gateway="10.1.0.3", dev="wgnode-br0", protocol="120", metric=30000)]},
        {"routes": [connected("10.2.0.0/16", "lan0")], "wanted": "10.3.0.0/24"},
        {"links": [link("wgnode-wan", "10.2.0.1/30", kind="tun")], "routes": [connected("10.2.0.0/30", "wgnode-wan")]},
        {"routes": [connected("10.2.0.0/24", "mgmt0", table="77")], "links": "vrf"},
    ],
)
def test_what_the_mesh_and_the_host_can_both_have(more):
    vrf = link("mgmt", kind="vrf", table=77)
    if more.get("links") == "vrf":
        more = {**more, "links": [vrf, link("mgmt0", "10.2.0.1/24", master="mgmt")]}
    wanted = more.get("wanted", "10.2.0.0/24")
    found = judged(wanted, "fd00:10:2::/64", **{name: value for name, value in more.items() if name != "wanted"})
    assert found == overlaps.Verdict()


def test_the_vrf_of_the_lan_is_not_another_world():
    vrf = [link("mgmt", kind="vrf", table=77), link("lan0", "10.1.0.1/24", master="mgmt")]
    vrf.append(link("other0", "10.2.0.1/24", master="mgmt"))
    assert refused("10.2.0.0/24", links=vrf) == ["10.2.0.0/24 of site 'cabin': other0 has 10.2.0.1/24"]


def test_a_route_to_a_part_of_a_mesh_network_is_an_exception_and_told():
    routes = [route("10.2.0.128/25", gateway="192.168.1.9", dev="wan0"), route("10.2.0.9", type="unreachable")]
    found = judged("10.2.0.0/24", routes=routes)
    assert found.refused == ()
    assert found.told == (
        "of 10.2.0.0/24 of site 'cabin', what the host's own route 10.2.0.128/25 via 192.168.1.9 dev wan0 (and 1 more)"
        " is for goes there, not into the mesh",
    )


@pytest.mark.parametrize(
    ("address", "told"),
    [("10.1.0.9/24", True), ("10.1.0.9/16", False), ("10.1.0.9/25", False), ("10.1.0.9/32", False)],
)
def test_another_interface_in_the_lans_own_network_is_told(address, told):
    found = judged("10.2.0.0/24", links=[link("wan0", address)])
    assert found.refused == ()
    text = f"wan0 has {address}, and lan0 is in 10.1.0.0/24 too"
    assert [one.startswith(text) for one in found.told] == [True] * told


TABLE_100 = [route("default", gateway="192.168.1.9", dev="wan0", table="100")]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"src": "all", "table": "100"}, True),
        ({"src": "10.1.0.0", "srclen": 24, "table": "100"}, True),
        ({"src": "10.0.0.0", "srclen": 8, "iif": "lan0", "table": "100"}, True),
        ({"src": "all", "iif": "wgnode-br0", "table": "100"}, True),
        ({"src": "all", "dst": "10.0.0.0", "dstlen": 8, "table": "100"}, True),
        ({"src": "all", "dst": "10.0.0.0", "dstlen": 8, "action": "prohibit"}, True),
        ({"not": None, "src": "all", "fwmark": "0xca6c", "table": "100"}, True),
        ({"src": "192.168.1.10", "table": "100"}, False),
        ({"src": "all", "iif": "docker0", "table": "100"}, False),
        ({"src": "all", "fwmark": "0x5", "table": "100"}, False),
        ({"src": "all", "dst": "10.77.0.0", "dstlen": 16, "table": "100"}, False),
        ({"src": "all", "table": "200"}, False),
        ({"not": None, "src": "10.1.0.0", "srclen": 24, "table": "100"}, False),
        ({"src": "all", "table": "100", "suppress_prefixlen": 0}, False),
        ({"src": "all", "table": "100", "priority": 32800}, False),
    ],
)
def test_a_rule_that_has_the_lans_packets_pass_by_the_main_table_is_told(rule, told):
    found = judged("10.2.0.0/24", rules=[{"priority": 100, **rule}], routes=TABLE_100)
    assert found.refused == ()
    assert ["comes before its main table" in text for text in found.told] == [True] * told
    assert all("`ip rule add to 10.2.0.0/24 lookup main priority 99`" in text for text in found.told)


def test_a_rule_for_some_networks_or_machines_alone_settles_nothing_for_others():
    """As the one that is advised, made for one network of two."""
    table = {"priority": 100, "src": "all", "table": "100"}
    advised = {"priority": 99, "src": "all", "dst": "10.2.0.0", "dstlen": 24, "table": "main"}
    (told,) = judged("10.2.0.0/24", "10.3.0.0/24", rules=[table, advised], routes=TABLE_100).told
    assert "packets of the LAN to 10.3.0.0/24 of site 'cabin' go by" in told
    for source, length, settles in (("10.1.0.5", 32, False), ("10.1.0.0", 24, True), ("10.0.0.0", 8, True)):
        one = {"priority": 99, "src": source, "srclen": length, "table": "main"}
        assert bool(judged("10.2.0.0/24", rules=[table, one], routes=TABLE_100).told) != settles


def test_a_vpn_that_asks_the_main_table_first_for_all_but_its_default_is_no_rule_before_it():
    """As wg-quick does."""
    rules = [
        {"priority": 32764, "src": "all", "table": "main", "suppress_prefixlen": 0},
        {"priority": 32765, "not": None, "src": "all", "fwmark": "0xca6c", "table": "51820"},
    ]
    routes = [route("default", dev="wg0", table="51820")]
    assert judged("10.2.0.0/24", rules=rules, routes=routes) == overlaps.Verdict()


def test_a_host_without_ipv6_or_that_says_nothing_has_nothing_there():
    home = "".join(f"{json.dumps(text)}\n--\n" for text in (HOME, RULES)) + "--\n--\n"
    for said in (home, "", "--\n--\n--\n--\n"):
        found = routing.parse(Result(0, said, ""))
        verdict = overlaps.judge([Wanted(ip_network("10.2.0.0/24"))], There.of("[]", found, OWN))
        assert verdict == overlaps.Verdict()


NETWORKS = st.builds(
    lambda last, length: ip_network(f"10.0.{last}.0/{length}", strict=False), st.integers(0, 15), st.integers(18, 24)
)


@given(st.lists(NETWORKS, max_size=6), NETWORKS)
def test_the_index_finds_what_a_comparison_of_all_finds(drawn, held):
    apart = [one for place, one in enumerate(drawn) if not any(one.overlaps(other) for other in drawn[:place])]
    found = Index([Wanted(one) for one in apart]).overlapping(held)
    assert {one.network for one in found} == {one for one in apart if one.overlaps(held)}
