"""What of a host's surroundings is inside and what outside, and who is judged by that at an unknown interface."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from pulumi_wgnode.hosts.networks.outside import facing, surroundings
from tests.unit.pulumi_wgnode.hosts.test_uplink import default, routing
from wgnode.firewall import unknown
from wgnode.firewall.rules import Firewall

AROUND = [
    default("wan0"),
    {"dst": "198.51.100.0/24", "dev": "wan0", "protocol": "kernel"},
    {"dst": "192.168.1.0/24", "dev": "wan0", "protocol": "kernel"},
    {"dst": "10.1.0.0/24", "dev": "lan0", "protocol": "kernel"},
    {"dst": "203.0.113.8/29", "dev": "vmbr1", "protocol": "kernel"},
    {"dst": "203.0.113.64/29", "gateway": "10.1.0.9", "dev": "lan0", "protocol": "static"},
    {"dst": "203.0.113.128/25", "gateway": "10.1.0.9", "dev": "lan0", "protocol": "bgp"},
    {"dst": "192.0.2.0/24", "gateway": "10.1.0.2", "dev": "wgnode-br0", "protocol": "119"},
    default("lte0", metric=900),
    {"dst": "100.70.0.0/30", "dev": "lte0", "protocol": "kernel"},
]


def test_inside_are_public_networks_by_interfaces_that_lead_nowhere_and_outside_private_ones_by_the_uplink():
    found = surroundings(routing(*AROUND), "wan0")
    assert [str(one) for one in found.inside] == ["203.0.113.8/29", "203.0.113.64/29"]
    assert [str(one) for one in found.outside] == ["192.168.1.0/24"]
    assert found.interfaces == ("lan0", "vmbr1")
    assert facing(routing(*AROUND), "wan0") == ("lte0",)
    assert type(found).of({"surroundings": found.outputs()}) == found


@pytest.mark.parametrize(
    ("interface", "source", "judged"),
    [
        ("wan0", "10.1.0.7", True),
        ("eth9", "192.0.2.10", True),
        ("eth9", "2001:db8::10", True),
        ("eth9", "192.168.1.7", True),
        ("eth9", "100.70.0.1", False),
        ("eth9", "10.1.0.7", False),
        ("eth9", "203.0.113.9", False),
        ("lan0", "192.0.2.10", False),
        ("dsl0", "192.0.2.10", False),
        ("eth9", "fe80::1", False),
    ],
)
def test_who_is_judged_is_told_by_interface_and_source(interface, source, judged):
    around = surroundings(routing(*AROUND), "wan0")
    firewall = Firewall(
        "wan0",
        (ip_network("172.31.255.252/30"),),
        ("172.31.255.254",),
        51820,
        (),
        left_alone=("lan0", "dsl0"),
        inside=around.inside,
        outside=around.outside,
    )
    assert unknown.judges(firewall, interface, ip_address(source)) is judged


def test_behind_a_provider_s_nat_its_shared_addresses_are_outside():
    found = surroundings(routing(default("wan0"), {"dst": "100.70.0.0/30", "dev": "wan0"}), "wan0")
    firewall = Firewall("wan0", (), (), 51820, (), outside=found.outside)
    assert unknown.judges(firewall, "eth9", ip_address("100.99.0.1"))
