"""What nft lists in other words than it was given is no difference, and what is one stays one."""

from __future__ import annotations

import pytest

from wgnode.firewall import nft
from wgnode.firewall.expressions import match, payload

NEAR = {"set": [{"prefix": {"addr": "10.0.0.0", "len": 24}}, {"prefix": {"addr": "10.0.1.0", "len": 25}}]}
SOURCE = payload("ip", "saddr")


def text(right, left=SOURCE):
    return nft.rule_text([match(left, right)])


@pytest.mark.parametrize(
    ("listed", "same"),
    [
        ({"set": [{"range": ["10.0.0.0", "10.0.1.127"]}]}, True),
        ({"set": [{"prefix": {"addr": "10.0.1.0", "len": 25}}, {"range": ["10.0.0.0", "10.0.0.255"]}]}, True),
        ({"set": [{"range": ["10.0.0.0", "10.0.1.128"]}]}, False),
        ({"set": [{"range": ["10.0.0.1", "10.0.1.127"]}]}, False),
        ({"set": [{"prefix": {"addr": "10.0.0.0", "len": 24}}]}, False),
        ({"set": [*NEAR["set"], "10.0.1.128"]}, False),
        ({"set": ["@named"]}, False),
        ({"set": [{"elem": {"val": "10.0.0.0", "timeout": 9}}]}, False),
    ],
)
def test_prefixes_that_follow_one_another_may_be_listed_as_a_range(listed, same):
    assert (text(listed) == text(NEAR)) is same


def test_a_range_of_all_addresses_and_hosts_beside_each_other():
    both = {"set": ["192.0.2.1", "192.0.2.2"]}
    assert text({"set": [{"range": ["192.0.2.1", "192.0.2.2"]}]}) == text(both) == "ip saddr { 192.0.2.1, 192.0.2.2 }"
    six = {"set": [{"prefix": {"addr": "2001:db8::", "len": 64}}, "2001:db8:0:1::"]}
    assert text({"set": [{"range": ["2001:db8::", "2001:db8:0:1::"]}]}) == text(six)


def test_a_set_of_other_things_stays_as_it_is():
    ports = payload("tcp", "dport")
    assert text({"set": [443, {"range": [80, 90]}]}, ports) == 'tcp dport { 443, {"range": [80, 90]} }'
    assert text({"set": ["lo", "0"]}, {"meta": {"key": "iifname"}}) == 'iifname { "0", "lo" }'
    assert "mixed" not in text({"set": ["10.0.0.1", "2001:db8::1"]})


def test_a_protocol_by_its_number_is_the_one_by_its_name():
    key = {"meta": {"key": "l4proto"}}
    assert text(17, key) == text("udp", key) == "meta l4proto udp"
    assert text(6, key) == "meta l4proto tcp"
    assert text(132, key) == "meta l4proto 132"
    assert text(17, {"ct": {"key": "proto-dst", "dir": "original"}}) == "ct original proto-dst 17", "a port"
