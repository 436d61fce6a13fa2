"""What keeps packets from passing though all is as wanted. What `wgnode status` makes of each: test_site_parts.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pulumi_wgnode.hosts.host import Result
from pulumi_wgnode.hosts.networks import routing
from pulumi_wgnode.hosts.networks.network import Network
from pulumi_wgnode.resources import obstacles
from tests.unit.pulumi_wgnode.fake_host import link, ways

SITE = Network("wan0", "lan0", (), {})
LINKS = {
    "wan0": link("wan0", "203.0.113.2/24"),
    "lan0": link("lan0", master="wgnode-br0"),
    "wgnode-br0": link("wgnode-br0", "10.1.0.1/24", kind="bridge"),
}
TO_LAN = {"dst": "10.1.0.0/24", "dev": "wgnode-br0"}
ON = {f"net/ipv4/conf/{name}/forwarding": "1" for name in ("wan0", "wgnode-br0", "wgnode-wan", "lan0")}


def told(*routes: dict[str, Any], room: str = "", forwards: dict[str, str] = ON, **links: dict[str, Any]) -> list[str]:
    seen = {
        "links": json.dumps(list((LINKS | {one["ifname"]: one for one in links.values()}).values())),
        "routing": routing.parse(Result(0, ways(*(routes or (TO_LAN,))), "")),
        "forwards": forwards,
        "room": room,
    }
    return list(obstacles.told(seen, SITE, "wgnode-br0"))


def test_of_a_host_that_is_well_nothing_is_told() -> None:
    assert told() == []


@pytest.mark.parametrize(
    "routes",
    [
        ({"dst": "10.1.0.0/16", "dev": "wgnode-br0"},),
        ({"dst": "10.1.0.0/24", "dev": "wgnode-br0", "table": "100"},),
        ({**TO_LAN, "flags": ["linkdown"]},),
    ],
)
def test_any_route_by_the_bridge_that_leads_to_the_lan_will_do(routes: tuple[dict[str, Any], ...]) -> None:
    assert told(*routes) == []


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "10.1.0.0/24", "dev": "wan0"},
        {"dst": "10.1.0.0/25", "dev": "wgnode-br0"},
        {"dst": "10.1.0.0/24", "gateway": "10.1.0.9", "dev": "wgnode-br0"},
        {"dst": "10.1.0.0/24", "type": "blackhole"},
        {"dst": "default", "dev": "wgnode-br0"},
    ],
)
def test_none_else_is_one_to_the_lan(route: dict[str, Any]) -> None:
    (text,) = told(route)
    assert "no route to 10.1.0.0/24 by it" in text
    assert "`ip route add 10.1.0.0/24 dev wgnode-br0`" in text


@pytest.mark.parametrize("flag", ["noprefixroute", "mngtmpaddr", "temporary", "dynamic"])
def test_an_address_that_never_had_a_route_of_the_kernel_misses_none(flag: str) -> None:
    bridge = link("wgnode-br0", "fd00::1/64", kind="bridge")
    bridge["addr_info"][0][flag] = True
    assert told({"dst": "default", "dev": "wan0"}, bridge=bridge) == []
    del bridge["addr_info"][0][flag]
    assert len(told({"dst": "default", "dev": "wan0"}, bridge=bridge)) == 1


def test_where_nothing_is_forwarded_at_all_the_setting_of_all_is_drift_and_this_says_nothing() -> None:
    assert told(forwards=dict.fromkeys(ON, "0")) == []
    assert told(forwards={}) == []
    one = "net/ipv4/conf/wgnode-wan/forwarding"
    assert [text.split(";")[0] for text in told(forwards={**ON, one: "0"})] == [
        "it forwards, but nothing of IPv4 that comes in by wgnode-wan"
    ]
    assert told(forwards={**ON, "net/ipv4/conf/lan0/forwarding": "0"}) == [], "nothing comes in by a port of a bridge"


@pytest.mark.parametrize(
    ("said", "told_of"),
    [
        ("1000 1000 2000 /\n", ""),
        ("0 1000 2000 /var lib\n", "its file system /var lib is full, no space is free"),
        ("1000 0 2000 /\n", "its file system / is full, no inode is free"),
        ("1000 0 0 /\n", ""),
        ("1000 - - /\n", ""),
        ("1000 1000 2000 /\nread-only\n", "its file system / is read-only"),
        ("read-only\n", ""),
        ("", ""),
    ],
)
def test_a_disk_without_room_is_told(said: str, told_of: str) -> None:
    found = obstacles.ROOM.parse(Result(0, said, ""))
    assert found.startswith(told_of) if told_of else found == ""
    assert told(room=found) == ([found] if found else [])
