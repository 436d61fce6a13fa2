"""What a firewall is given: judged all at once, and compared element by element."""

from __future__ import annotations

import pytest

from pulumi_wgnode.call.kind import UNKNOWN, CheckError
from pulumi_wgnode.resources.compare import changed_inputs
from tests.unit.pulumi_wgnode.keys import OTHER_KEY
from tests.unit.pulumi_wgnode.resources.firewall_case import NEWS, created, host, kind

__all__ = ["host", "kind"]


@pytest.mark.parametrize(
    ("before", "after", "differing"),
    [
        (["a", "b"], ["b", "a"], []),
        (["a", "b"], ["b"], [("[0]", "DELETE")]),
        (["b"], ["a", "b", "c"], [("[0]", "ADD"), ("[2]", "ADD")]),
        (["a", "b"], ["a", "c"], [("[1]", "UPDATE")]),
        (["a"], [], [("[0]", "DELETE")]),
        (["a", "b", "c"], ["c", "d"], [("[0]", "DELETE"), ("[1]", "UPDATE")]),
    ],
)
def test_networks_are_compared_by_element(before, after, differing):
    networks = {"a": "192.0.2.0/24", "b": "10.9.0.0/16", "c": "10.8.0.0/16", "d": "2001:db8::/32"}
    old, new = ([networks[name] for name in names] for names in (before, after))
    changes = changed_inputs({"managementNetworks": old}, {"managementNetworks": new}, ["managementNetworks"])
    found = [(change.path, change.kind) for change in changes]
    assert found == [(f"managementNetworks{place}", kind) for place, kind in differing]


def test_what_of_an_open_port_changed_is_named():
    old = [{"protocol": "tcp", "port": 80, "from": ["192.0.2.0/24"]}, {"protocol": "tcp", "port": 443}]
    new = [{"protocol": "tcp", "port": 80, "from": ["192.0.2.0/24", "10.0.0.0/8"]}]
    changes = changed_inputs({"allow": old}, {"allow": new}, ["allow"])
    assert [(change.path, change.kind) for change in changes] == [("allow[0].from[1]", "ADD"), ("allow[1]", "DELETE")]


def test_the_order_of_networks_and_ports_is_no_difference_of_the_rules(kind):
    allow = [{"protocol": "udp", "port": 53}, {"protocol": "tcp", "port": 80}]
    inputs, _, state = created(kind, managementNetworks=["192.0.2.0/24", "10.9.0.0/16"], allow=allow)
    news = kind.check({**NEWS, "managementNetworks": ["10.9.0.0/16", "192.0.2.0/24"], "allow": allow[::-1]}, inputs)
    assert kind.diff(state, inputs, news).changes == ()


def test_only_another_site_replaces(kind):
    inputs, _, state = created(kind)
    key = kind.check({**NEWS, "connection": {**NEWS["connection"], "privateKey": OTHER_KEY}}, inputs)
    assert [(change.path, change.replace) for change in kind.diff(state, inputs, key).changes] == [
        ("connection.privateKey", False)
    ]
    moved = kind.check({**NEWS, "connection": {**NEWS["connection"], "address": "198.51.100.3"}}, inputs)
    assert not [change for change in kind.diff(state, inputs, moved).changes if change.replace]
    other = kind.check({**NEWS, "site": {**NEWS["site"], "id": "0" * 16}}, inputs)
    assert [change.path for change in kind.diff(state, inputs, other).changes if change.replace] == ["site.id"]


def test_inputs_are_judged_all_at_once(kind):
    bad = {**NEWS, "managementNetworks": [], "listenPort": 0, "allow": [{"protocol": "icmp", "port": 1}], "extra": 1}
    with pytest.raises(CheckError) as raised:
        kind.check(bad, {})
    assert {path for path, _ in raised.value.failures} == {
        "managementNetworks",
        "listenPort",
        "allow[0].protocol",
        "extra",
    }


def test_what_is_unknown_at_preview_is_not_judged(kind):
    news = {**NEWS, "listenPort": UNKNOWN}
    inputs = kind.check(news, {})
    assert inputs["listenPort"] is UNKNOWN
    old, _, state = created(kind)
    assert "listenPort" in [change.path for change in kind.diff(state, old, inputs).changes]


@pytest.mark.parametrize(
    ("forward", "said"),
    [
        ({"port": 80}, "a port needs its protocol"),
        ({"protocol": "tcp"}, "says neither `port`"),
        ({"from": ["10.0.0.0/8"]}, "says neither `port`"),
    ],
)
def test_a_forward_that_says_not_what_is_refused(kind, forward, said):
    with pytest.raises(CheckError, match=said):
        kind.check({**NEWS, "forward": [forward]}, {})
