"""Endpoints that work today, and not after the next restart or the next lease."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pulumi_wgnode.hosts.judging.facts import uplink_addresses
from tests.unit.topology.meshes import topology_of, two_sites
from wgnode.topology.model import MeshSpec, Topology
from wgnode.topology.reached import former_port, former_ports, own_address

STATIC, LEASED = {"203.0.113.7": False}, {"203.0.113.7": True}


@pytest.mark.parametrize(
    ("endpoint", "port", "addresses", "says"),
    [
        ("203.0.113.7:51820", 51820, STATIC, []),
        ("203.0.113.7:51821", 51820, STATIC, ["the gateway's port is 51820"]),
        ("203.0.113.7:51820", 51820, LEASED, ["has on lease"]),
        ("203.0.113.7:51821", 51820, LEASED, ["the gateway's port is 51820", "has on lease"]),
        ("[::ffff:203.0.113.7]:51821", 51820, STATIC, ["the gateway's port is 51820"]),
        ("[2001:db8:0::7]:51821", 51820, {"2001:db8::7": False}, ["the gateway's port is 51820"]),
        # Behind a router that forwards any port to ours:
        ("203.0.113.9:443", 51820, {"192.168.1.7": True}, []),
        ("203.0.113.9:443", 51820, {"100.64.0.7": True}, []),
        ("[2001:db8::9]:443", 51820, {"fd00::7": True}, []),
        ("203.0.113.9:443", 51820, STATIC, []),
        ("203.0.113.9:51820", 51820, LEASED, ["wan0 has 203.0.113.7 now"]),
        ("[2001:db8::9]:51820", 51820, LEASED, []),
        ("[2001:db8::9]:51820", 51820, {**LEASED, "2001:db8::8": True}, ["wan0 has 2001:db8::8 now"]),
        # A name follows by itself, and nobody calls a site without endpoint:
        ("gate.example:51820", 51820, LEASED, []),
        (None, 51820, LEASED, []),
        ("203.0.113.7:51820", 51820, {}, []),
    ],
)
def test_a_site_is_warned_of_its_own_endpoint_by_name(
    endpoint: str | None, port: int, addresses: dict[str, bool], says: list[str]
) -> None:
    told = list(own_address("cabin", endpoint, port, "wan0", addresses))
    assert len(told) == len(says)
    for text, part in zip(told, says, strict=True):
        assert part in text
        assert text.startswith("site 'cabin': ")
        assert str(endpoint) in text


@pytest.mark.parametrize(
    ("endpoint", "port", "former", "warned"),
    [
        ("203.0.113.7:51820", 51821, 51820, True),
        ("gate.example:51820", 51821, 51820, True),
        ("203.0.113.7:51821", 51821, 51820, False),
        ("203.0.113.7:443", 51821, 51820, False),
        ("203.0.113.7:51820", 51820, 51820, False),
        ("203.0.113.7:51820", 51820, None, False),
        (None, 51821, 51820, False),
    ],
)
def test_a_mesh_warns_of_an_endpoint_with_its_former_port(
    endpoint: str | None, port: int, former: int | None, warned: bool
) -> None:
    told = former_port("cabin", endpoint, port, former)
    assert (told is not None) is warned
    if told:
        assert f"site 'cabin': endpoint {endpoint} has the former listenPort 51820" in told


def test_addresses_that_nobody_is_told_are_not_the_uplinks() -> None:
    entries = [
        {"local": "203.0.113.7", "scope": "global", "dynamic": True},
        {"local": "203.0.113.8", "scope": "global"},
        {"local": "169.254.1.1", "scope": "link"},
        {"local": "fe80::1", "scope": "link"},
        {"local": "2001:db8::7", "scope": "global", "dynamic": True, "mngtmpaddr": True},
        {"local": "2001:db8::99", "scope": "global", "dynamic": True, "temporary": True},
    ]
    links = [{"ifname": "wan0", "addr_info": entries}, {"ifname": "lan0", "addr_info": entries[:1]}]
    assert uplink_addresses(json.dumps(links), "wan0") == {
        "203.0.113.7": True,
        "203.0.113.8": False,
        "2001:db8::7": True,
    }
    assert uplink_addresses(json.dumps(links), "wan9") == {}


def test_a_former_port_is_kept_as_long_as_an_endpoint_has_it() -> None:
    raw = two_sites()
    spec = MeshSpec.from_dict({**raw, "listenPort": 52000})
    assert former_ports(spec, (51820, 51999, 52000)) == (51820,)
    assert former_ports(MeshSpec.from_dict(raw), (51820, 51999)) == (), "the port of now is none"
    kept = replace(topology_of(raw), former_ports=(51820,))
    assert Topology.from_dict(kept.to_dict()) == kept
    assert "formerListenPorts" not in topology_of(raw).to_dict(), "what older versions write"
