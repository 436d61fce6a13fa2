"""Endpoints as they are configured: what is an address, what is a name, and what only looks like either."""

from __future__ import annotations

import json
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_wgnode.values import _host_address
from tests.unit.protocol.pairs import Clock, Node
from wgnode import endpoint
from wgnode.hostd import parts
from wgnode.hostd.endpoints import resolve
from wgnode.hostd.parts import Refused
from wgnode.io import address
from wgnode.io.endpoints import parse_endpoint
from wgnode.io.node import literal_endpoint
from wgnode.io.uapi import handle
from wgnode.nodeconfig import ConfigError, LinkConfig, NodeConfig, PeerConfig
from wgnode.protocol import Device, Endpoint
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


NO_ENDPOINTS = (
    *(
        f"203.0.113.7:{port}"
        for port in ("65536", "+51820", "-1", "51820 ", " 1", "0x50", "1_0", "", "٥١٨٢٠", "１", "000001")
    ),
    *(f"[2001:db8::7]:{port}" for port in ("65536", "+51820", "¹")),
    *("203.0.113.7", "[2001:db8::7]", "2001:db8::7", "2001:db8::7:51820", "[203.0.113.7]:1", ":1", "[]:1", "", "::1"),
    *("２03.0.113.7:1", "203。0.113.7:1", "bücher.example:1", "gate\u200b.example:1", "gate.example.:1", ".example:1"),
    *("[fe80::1%]:1", "[fe80::1%a%b]:1", "[2001:db8::g]:1", "[gate.example]:1", "a b:1", "gate.example\n:1", "-a:1"),
    *(" 203.0.113.7:1", "203.0.113.7 :1", "203.0.113.7\x00:1", "[2001:db8::7]x:1", "x" * 254 + ":1", "0o10.0.0.1:1"),
)


@pytest.mark.parametrize("text", NO_ENDPOINTS)
def test_what_is_no_endpoint_is_refused_wherever_one_is_taken(text: str) -> None:
    for take in (endpoint.split, split_endpoint, endpoint.canonical, endpoint.literal, parse_endpoint, address.place):
        with pytest.raises(ValueError, match="endpoint"):
            take(text)
    assert [problem.path for problem in mesh_problems(mesh(text))] == ["sites.berlin.endpoint"]
    with pytest.raises(ConfigError, match="endpoint"):
        NodeConfig.from_json(node(text))
    assert literal_endpoint(text) is None
    with pytest.raises(Refused, match="no address with a port"):
        parts.endpoint(text)
    with pytest.raises(ValueError, match="endpoint"):
        resolve(text)
    if text.isprintable():
        said = handle(a_device(), f"set=1\npublic_key={bytes(range(32)).hex()}\nendpoint={text}\n\n", 0.0)
        assert said == "errno=-22\n\n", "EINVAL"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("203.0.113.7:0", "203.0.113.7:0"),
        ("203.0.113.7:051", "203.0.113.7:51"),
        ("[2001:DB8:0:0::7]:65535", "[2001:db8::7]:65535"),
        ("[fe80::1%eth0]:1", "[fe80::1%eth0]:1"),
        ("[::ffff:203.0.113.7%eth0]:1", "203.0.113.7:1"),
        ("[::1.2.3.4]:1", "[::102:304]:1"),
    ],
)
def test_an_address_is_the_same_one_for_all_who_take_addresses(text: str, where: str) -> None:
    assert endpoint.written(*endpoint.literal(text)) == parts.endpoint(text) == where
    assert endpoint.literal(str(parse_endpoint(text))) == endpoint.literal(text)
    device = a_device()
    assert handle(device, f"set=1\npublic_key={bytes(range(32)).hex()}\nendpoint={text}\n\n", 0.0) == "errno=0\n\n"
    (peer,) = device.peers
    assert peer.endpoint == parse_endpoint(text)


@pytest.mark.parametrize("text", ["203.0.113.7:0", "[fe80::1%eth0]:1", "[::ffff:203.0.113.7%1]:1"])
def test_what_only_one_machine_can_use_is_nobody_elses_endpoint(text: str) -> None:
    for take in (endpoint.split, split_endpoint, endpoint.canonical):
        with pytest.raises(ValueError, match="endpoint"):
            take(text)
    with pytest.raises(ConfigError, match="endpoint"):
        NodeConfig.from_json(node(text))


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("bücher.example:1", "write it in ASCII"),
        ("gate.example.:1", "ends with a dot; leave it out"),
        ("203.0.113.7:65536", "no port from 1 to 65535"),
        ("203.0.113.7:0", "no port at which anybody listens"),
        ("2001:db8::7:51820", r"write \[2001:db8::7\]:51820"),
        ("[203.0.113.7]:1", r"write 203\.0\.113\.7:1"),
        ("[fe80::1%eth0]:1", "leave it out"),
    ],
)
def test_each_refusal_says_its_way_out(text: str, way_out: str) -> None:
    with pytest.raises(ValueError, match=way_out):
        endpoint.split(text)


def test_one_name_in_two_cases_is_one() -> None:
    assert "already belongs" in mesh_problems(mesh("Gate.Example:1", "gate.example:1"))[0].message


def a_device() -> Device:
    """With a private key, and nothing else."""
    return Node(Clock(), Endpoint("192.0.2.1", 1), (bytes([7]) * 32,), 1).device


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
