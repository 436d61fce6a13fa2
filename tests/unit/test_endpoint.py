"""Endpoints as they are configured: what is an address, what is a name, and what only looks like either."""

from __future__ import annotations

import json
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.config_values import _host_address
from wgnode import endpoint
from wgnode.io.endpoints import parse_endpoint
from wgnode.nodeconfig import ConfigError, LinkConfig, NodeConfig, PeerConfig
from wgnode.topology.validate import mesh_problems, split_endpoint

NO_ADDRESSES = (
    "010.0.0.1",  # 8.0.0.1 for getaddrinfo
    "203.0.113.256",
    "203.0.113.07",
    "10.1",
    "1",
    "0x7f.1",
    "10.0.0.0x1",
    "0xCB007107",
    "203.0.113",
    "203.0.113.7.8",
    "gate.example.7",
    "256.256.256.256",
    "1.2.3.4.",
    "[::ffff:010.0.0.1]",
    "[::ffff:203.0.113.256]",
)
MAPPED = ("[::ffff:203.0.113.7]", "[::FFFF:cb00:7107]", "[0:0:0:0:0:ffff:203.0.113.7]")


def node(at: str | None) -> bytes:
    link = LinkConfig("02:00:00:00:00:01", ("10.1.0.2/24",))
    peer = PeerConfig("cabin", (bytes(32),), ("10.2.0.0/24",), at)
    return NodeConfig("dev", "berlin", (bytes(32),), 51820, ("10.99.0.1/24",), link, link, (peer,)).to_json()


def mesh(at: str, other: str = "198.51.100.2:51820") -> dict[str, object]:
    sites = {"berlin": {"lans": ["10.1.0.0/24"], "endpoint": at}, "cabin": {"lans": ["10.2.0.0/24"], "endpoint": other}}
    return {"name": "dev", "tunnel": {"v4": "10.99.0.0/24"}, "sites": sites}


@pytest.mark.parametrize("host", NO_ADDRESSES)
def test_what_only_looks_like_an_address_is_refused_wherever_an_endpoint_is_taken(host: str) -> None:
    text = f"{host}:51820"
    for take in (endpoint.split, split_endpoint, endpoint.canonical, parse_endpoint):
        with pytest.raises(ValueError, match="endpoint"):
            take(text)
    assert [problem.path for problem in mesh_problems(mesh(text))] == ["sites.berlin.endpoint"]
    with pytest.raises(ConfigError, match="endpoint"):
        NodeConfig.from_json(node(text))
    with pytest.raises(ValueError, match=r"the port goes into `port`"):
        _host_address(host)


def test_the_way_out_is_said() -> None:
    with pytest.raises(ValueError, match=r"'010\.0\.0\.1' is no IPv4 address, .* four numbers from 0 to 255"):
        endpoint.split("010.0.0.1:51820")


@pytest.mark.parametrize("host", ["gate.example", "7gate", "4.example", "0x7f.example", "a-1", "x0", "_srv.example"])
def test_names_with_numbers_in_them_are_names(host: str) -> None:
    assert endpoint.split(f"{host}:1") == (host, 1)
    assert _host_address(host) == host
    assert NodeConfig.from_json(node(f"{host}:1")).peers[0].endpoint == f"{host}:1"


@pytest.mark.parametrize("mapped", MAPPED)
def test_an_ipv4_mapped_address_is_the_ipv4_address(mapped: str) -> None:
    assert split_endpoint(f"{mapped}:51820") == ("203.0.113.7", 51820)
    assert endpoint.canonical(f"{mapped}:51820") == "203.0.113.7:51820"
    assert str(parse_endpoint(f"{mapped}:51820")) == "203.0.113.7:51820"
    assert "already belongs" in mesh_problems(mesh("203.0.113.7:1", f"{mapped}:1"))[0].message
    assert _host_address(mapped[1:-1]) == "203.0.113.7"


@pytest.mark.parametrize("host", ["[::ffff:127.0.0.1]", "[::ffff:0.0.0.0]", "[::ffff:10.1.0.9]", "255.255.255.255"])
def test_a_mapped_address_is_judged_as_what_it_is(host: str) -> None:
    """Loopback, nowhere, and inside of a LAN."""
    assert [problem.path for problem in mesh_problems(mesh(f"{host}:1"))] == ["sites.berlin.endpoint"]


@given(st.ip_addresses(), st.integers(1, 65535))
def test_every_address_comes_back_in_its_one_form(address: object, port: int) -> None:
    host = ip_address(str(address))
    text = f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}"
    again = endpoint.canonical(text)
    assert endpoint.canonical(again) == again
    assert endpoint.split(again) == (endpoint.plain(host), port)


def test_a_node_without_such_endpoints_loads_as_before() -> None:
    for at in (None, "203.0.113.7:51820", "[2001:db8::7]:51820"):
        assert json.loads(node(at))["peers"]["cabin"]["endpoint"] == at
        assert NodeConfig.from_json(node(at)).peers[0].endpoint == at
