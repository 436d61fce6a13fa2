"""A policy in a node's configuration has the same bytes whichever Python wrote it and whichever reads it."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network

import pytest

from tests.unit.topology.meshes import topology_of, two_sites
from wgnode.nodeconfig import NodeConfig
from wgnode.policy.written import spelled
from wgnode.topology.compile import SiteFacts, node_config
from wgnode.topology.users import Users

PHONE = {"publicKey": "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=", "addresses": ["10.1.0.130"]}


def compiled() -> NodeConfig:
    people = {"alice": {"groups": ["staff"], "devices": {"phone": PHONE}}}
    users = Users.of({"v4": "10.1.0.128/26"}, people, {"staff": {"reach": "all"}})
    return node_config(topology_of(two_sites()), "berlin", SiteFacts(("10.1.0.2", "fd00:10:1::2"), users=users))


@pytest.fixture
def as_from_3_13(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPv4 in IPv6's notation, as str() has it from Python 3.13 on; a guest may have another one than its operator."""
    before = IPv6Address.__str__

    def text(address: IPv6Address) -> str:
        return before(address) if address.ipv4_mapped is None else f"::ffff:{address.ipv4_mapped}"

    monkeypatch.setattr(IPv6Address, "__str__", text)
    monkeypatch.setattr(IPv6Network, "__str__", lambda one: f"{text(one.network_address)}/{one.prefixlen}")


def test_what_one_python_writes_another_one_reads(request: pytest.FixtureRequest) -> None:
    made = compiled()
    text = made.to_json()
    request.getfixturevalue("as_from_3_13")
    assert str(ip_network("::ffff:0:0/96")) == "::ffff:0.0.0.0/96"
    assert NodeConfig.from_json(text) == compiled() == made


@pytest.mark.usefixtures("as_from_3_13")
@pytest.mark.parametrize("text", ["::ffff:0:0/96", "::ffff:c000:201/128", "::/127", "fd00:10:1::/64", "10.1.0.0/24"])
def test_a_network_and_its_address_are_spelled_as_they_always_were(text: str) -> None:
    assert spelled(ip_network(text)) == text
    assert spelled(ip_address(text.partition("/")[0])) == text.partition("/")[0]
