"""The links and routes of a gateway: what is rendered, and what is read."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import pytest

from pulumi_wgnode.hosts.networks import network
from pulumi_wgnode.hosts.networks.network import MissingInterface, Network
from tests.unit.pulumi_wgnode.fake_host import link
from wgnode.image.paths import Paths

ROUTES = {"10.2.0.0/24": "10.1.0.2", "10.3.0.1/32": "10.1.0.2", "fd00:10:2::/64": "fd00:10:1::2"}
SITE = Network("wan0", "lan0", ("172.31.255.253/30", "fd77:676e:6f64:6500::1/126"), ROUTES)
TAP = {"type": "tap", "group": "wgnode-qemu"}


def up(**changed):
    links = {
        "lo": link("lo", "127.0.0.1/8"),
        "wan0": link("wan0", "198.51.100.2/24"),
        "lan0": link("lan0", master="wgnode-br0"),
        "wgnode-wan": link("wgnode-wan", *SITE.transit, kind="tun", **TAP),
        "wgnode-lan": link("wgnode-lan", kind="tun", master="wgnode-br0", **TAP),
        "wgnode-br0": link("wgnode-br0", "10.1.0.1/24", kind="bridge"),
    }
    return json.dumps(list({**links, **changed}.values()))


ROUTE_LINES = """10.2.0.0/24 via 10.1.0.2 dev wgnode-br0 proto 119
10.3.0.1 via 10.1.0.2 dev wgnode-br0 proto 119
fd00:10:2::/64 via fd00:10:1::2 dev wgnode-br0 proto 119 metric 1024 pref medium
"""


def test_what_is_up_is_what_was_wanted():
    assert network.observed(up(), ROUTE_LINES, SITE) == network.described(SITE)


def test_of_two_routes_to_one_network_the_one_that_counts_is_told():
    wrong = "10.2.0.0/24 via 10.1.0.77 dev wgnode-br0 proto 119\n"
    ours = ROUTE_LINES.replace("proto 119\n", "proto 119 metric 30000\n")
    assert network.observed(up(), ours, SITE) == network.described(SITE)
    routes = network.observed(up(), wrong + ours, SITE)["routes"]
    assert routes == {**network.described(SITE)["routes"], "10.2.0.0/24": "via 10.1.0.77"}


def test_the_script_is_one_that_a_shell_reads():
    checked = subprocess.run(["sh", "-n"], input=network.script(SITE), text=True, capture_output=True)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_script_holds_the_routes_of_each_family_as_ip_prints_them():
    script = network.script(SITE)
    assert "set_routes 4 '10.2.0.0/24 10.1.0.2' '10.3.0.1 10.1.0.2'\n" in script
    assert "set_routes 6 'fd00:10:2::/64 fd00:10:1::2'\n" in script


def test_values_cannot_break_out_of_the_script():
    hostile = Network("wan0", "lan0; rm -rf /", (), {})
    assert "LAN='lan0; rm -rf /'\n" in network.script(hostile)


@pytest.mark.parametrize(
    ("changed", "name", "text"),
    [
        (
            {"wgnode-wan": link("wgnode-wan", "10.0.0.1/30", kind="tun", **TAP)},
            "wgnode-wan",
            "tap of wgnode-qemu, up, 10.0.0.1/30",
        ),
        ({"wgnode-lan": link("wgnode-lan", kind="tun", **TAP)}, "wgnode-lan", "tap of wgnode-qemu, up"),
        ({"lan0": link("lan0", "10.1.0.1/24", master="wgnode-br0")}, "lan0", "up, in wgnode-br0, 10.1.0.1/24"),
        ({"wgnode-br0": link("wgnode-br0", kind="dummy")}, "wgnode-br0", "dummy, up"),
        (
            {"wgnode-lan": link("wgnode-lan", kind="tun", master="wgnode-br0", type="tap", user="mallory")},
            "wgnode-lan",
            "tap of mallory, up, in wgnode-br0",
        ),
    ],
)
def test_what_differs_is_described_as_it_is(changed, name, text):
    assert network.observed(up(**changed), ROUTE_LINES, SITE)["links"][name] == text


def test_a_link_that_is_down_says_so():
    down = link("wgnode-wan", *SITE.transit, kind="tun", **TAP)
    down["flags"] = []
    links = network.observed(up(**{"wgnode-wan": down}), ROUTE_LINES, SITE)["links"]
    assert links["wgnode-wan"].startswith("tap of wgnode-qemu, down")


def test_addresses_of_router_advertisements_are_not_counted():
    lan = link("lan0", "fd00::5/64", master="wgnode-br0")
    lan["addr_info"][0]["dynamic"] = True
    assert network.observed(up(lan0=lan), ROUTE_LINES, SITE) == network.described(SITE)


def test_a_lan_that_is_a_bridge_is_joined_itself():
    before = json.dumps([link("wan0"), link("lan0", kind="bridge")])
    assert network.lan_bridge(before, SITE) == "lan0"
    assert network.lan_bridge(up(), SITE) == "wgnode-br0"
    assert set(network.described(SITE, "lan0")["links"]) == {"wgnode-wan", "wgnode-lan"}


@pytest.mark.parametrize("missing", ["wan0", "lan0"])
def test_a_missing_interface_is_named_beside_those_that_exist(missing):
    there = [link(name) for name in ("lo", "eth5", "wan0", "lan0", "wgnode-wan") if name != missing]
    with pytest.raises(MissingInterface, match=rf"interface {missing}; there are eth5, (wan0|lan0)$"):
        network.lan_bridge(json.dumps(there), SITE)


def test_another_bridges_port_is_refused():
    there = [link("wan0"), link("vmbr0", kind="bridge"), link("lan0", master="vmbr0")]
    with pytest.raises(MissingInterface, match="give vmbr0 as the LAN interface"):
        network.lan_bridge(json.dumps(there), SITE)


SECOND = Network("wan0", "lan0", ("172.31.255.249/30",), {}, Paths("0b1c2d3e"), "wgnode-br0", 120)


def test_of_a_host_s_gateways_each_sees_its_own_links_and_routes():
    own = {"type": "tap", "group": "wgnode-qemu-0b1c2d3e"}
    taps = {
        "wgnwan-0b1c2d3e": link("wgnwan-0b1c2d3e", *SECOND.transit, kind="tun", **own),
        "wgnlan-0b1c2d3e": link("wgnlan-0b1c2d3e", kind="tun", master="wgnode-br0", **own),
    }
    routes = ROUTE_LINES + "10.9.0.0/24 via 10.1.0.3 dev wgnode-br0 proto 120\n10.8.0.0/24 dev wan0 proto static\n"
    assert network.observed(up(**taps), routes, SITE) == network.described(SITE)
    found = network.observed(up(**taps), routes, SECOND)
    assert found == {**network.described(SECOND), "routes": {"10.9.0.0/24": "via 10.1.0.3"}}
    assert network.routes_of_others(routes, 119) == {"10.9.0.0/24": 120}
    assert network.interfaces(up(**taps)) == ["lan0", "wan0"]


def test_gateways_of_one_lan_share_a_bridge_and_those_of_others_have_their_own():
    assert network.lan_bridge(up(), SECOND) == "wgnode-br0", "where the LAN is already"
    others = {"lan1": link("lan1"), "lan0": link("lan0")}
    assert network.lan_bridge(up(**others), replace(SECOND, lan="lan1")) == "wgnbr-0b1c2d3e"
    assert network.lan_bridge(up(**others), replace(SITE, lan="lan1")) == "wgnode-br0", "its own tap is in it"
    moved = {**others, "wgnode-lan": link("wgnode-lan", kind="tun", **TAP)}
    moved["wgnlan-0b1c2d3e"] = link("wgnlan-0b1c2d3e", kind="tun", master="wgnode-br0", **TAP)
    assert network.lan_bridge(up(**moved), replace(SECOND, lan="lan0")) == "wgnode-br0"
    assert network.lan_bridge(up(**moved), replace(SITE, lan="lan1")) == "wgnbr-00000000", "the former first one's"
