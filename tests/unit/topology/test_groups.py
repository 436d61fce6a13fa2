"""What is wrong with what a group says of access, told at its place; and what is compiled of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.topology.meshes import bundle_of, topology_of, two_sites
from tests.unit.topology.test_users import GATEWAY, SITE, facts
from wgnode.nodeconfig import ConfigError, NodeConfig
from wgnode.policy.model import Class, Policy, Rule
from wgnode.topology.compile import SiteFacts, compile_site
from wgnode.topology.groups import ports, problems
from wgnode.topology.model import TopologyError
from wgnode.topology.users import Users

RULE = {"networks": ["10.1.0.0/24"], "protocol": "tcp", "ports": [443, "8000-8100"]}
LANS = ("10.1.0.0/24", "10.2.0.0/24", "fd00:10:1::/64", "fd00:10:2::/64")
TUNNEL = ("10.99.0.0/24", "fd00:99::/64")
SECRET = bytes(32)


def told(**guests: Any) -> list[tuple[str, str]]:
    said = {"staff": {"reach": "all"}, "guests": guests}
    return [(one.path, one.message) for one in problems("guests", guests, said)]


def test_good_rules_have_no_problems() -> None:
    internet = {"internet": True, "protocol": "icmp"}
    rules = [RULE, {"sites": ["berlin"], "groups": ["staff", "guests"]}, internet, {**RULE, "ports": ["53"]}]
    assert told(reach=rules, reachableFrom=[{**RULE, "protocol": "udp"}]) == []
    assert told(reach="all") == told(reach=[]) == told(reachableFrom=[{"groups": ["staff"], "protocol": 47}]) == []


@pytest.mark.parametrize(
    ("rule", "at", "says"),
    [
        ("all", "", "a rule is a mapping"),
        ({}, "", "a rule names networks, sites, groups or `internet: true`"),
        ({"internet": False}, "", "a rule names"),
        ({"network": "10.0.0.0/8"}, ".network", "a rule says networks, sites, groups, internet, protocol, ports, not"),
        ({"networks": "10.0.0.0/8"}, ".networks", "networks is a list"),
        ({"networks": []}, ".networks", "networks is a list of one or more"),
        ({"networks": ["10.1.0.1/24"]}, ".networks[0]", "did you mean 10.1.0.0/24"),
        ({"networks": ["10.1.0.0/24", 7]}, ".networks[1]", "7 is none of networks"),
        ({"sites": [["berlin"]]}, ".sites[0]", "is none of sites"),
        ({"groups": ["staf"]}, ".groups[0]", "there is no group 'staf' (there are: guests, staff)"),
        ({"internet": "yes"}, ".internet", "internet is true, or left out"),
        ({**RULE, "protocol": "TCP"}, ".protocol", "'TCP' is no protocol; write tcp, udp, icmp, or a number"),
        ({"internet": True, "protocol": 256}, ".protocol", "256 is no protocol"),
        ({**RULE, "protocol": None}, ".ports", "only tcp and udp have ports"),
        ({**RULE, "protocol": "icmp"}, ".ports", "only tcp and udp have ports"),
        ({**RULE, "ports": [0]}, ".ports[0]", "'0' is no port"),
        ({**RULE, "ports": [443, "9-8"]}, ".ports[1]", "'9-8' is no port and no range"),
        ({**RULE, "ports": ["1-65536"]}, ".ports[0]", "no range of ports; write 443, or 8000-8100"),
        ({**RULE, "ports": ["1-2-3"]}, ".ports[0]", "no range"),
        ({**RULE, "ports": [True]}, ".ports[0]", "no port"),
        ({**RULE, "ports": 443}, ".ports", "ports is a list"),
    ],
)
@pytest.mark.parametrize("key", ["reach", "reachableFrom"])
def test_what_is_wrong_with_a_rule_is_told_at_its_path(key: str, rule: Any, at: str, says: str) -> None:
    found = dict(told(**{key: [RULE, rule]}))
    assert says in found.get(f".groups.guests.{key}[1]{at}", ""), found


def test_what_is_no_list_is_told_and_what_is_not_known_yet_is_passed_over() -> None:
    assert told(reach="some")[0] == (
        ".groups.guests.reach",
        "group 'guests': reach is `all` or a list of rules, like - {networks: [10.1.0.0/24], protocol: tcp, ports:"
        " [443]}",
    )
    assert "reachableFrom is a list of rules" in told(reachableFrom="all")[0][1]
    later = object()
    assert told(reach=later, reachableFrom=[later]) == []
    assert told(reach=[{"networks": later, "ports": [later], "protocol": later, "internet": later}]) == []


def test_ports_are_a_number_or_a_range() -> None:
    assert [ports(443), ports("443"), ports("8000-8100")] == [(443, 443), (443, 443), (8000, 8100)]


def compiled(said: dict[str, Any], members: dict[str, list[str]]) -> NodeConfig:
    users = {name: {**SITE["users"][name], "groups": named} for name, named in members.items()}
    site = {**SITE, "groups": said, "users": users}
    topology = topology_of(two_sites())
    made = SiteFacts(GATEWAY, users=facts(site).users, host_addresses=("198.51.100.2",))
    return compile_site(topology, "berlin", bundle_of(topology, "berlin"), made, SECRET)[0]


def test_who_is_in_the_same_groups_is_of_the_same_class_and_the_first_class_allows_nothing() -> None:
    said = {"staff": {"reach": "all"}, "guests": {"reach": [RULE]}}
    config = compiled(said, {"alice": ["staff", "guests"], "bob": ["guests"]})
    assert {one.name: one.access for one in config.devices} == {"alice/phone": 2, "bob/desk": 1}
    web = Rule("groups.guests.reach[0]", ("10.1.0.0/24",), (), False, (6,), ((443, 443), (8000, 8100)))
    everything = Rule("groups.staff.reach", LANS, (1, 2))
    assert config.policy is not None
    assert config.policy.classes == (
        Class(),
        Class((web,), ()),
        Class((web, everything), (Rule("groups.staff.reach", (*LANS[:2], TUNNEL[0], *LANS[2:], TUNNEL[1])),)),
    )
    assert {*LANS, *TUNNEL, "172.31.255.252/30", "10.0.0.0/8", "10.1.0.128/26"} <= set(config.policy.known)
    assert {"10.1.0.2", "10.99.0.1", "172.31.255.253", "172.31.255.254", "198.51.100.2"} <= set(config.policy.own)


def test_what_a_group_lets_others_open_is_in_their_classes() -> None:
    said = {
        "staff": {"reachableFrom": [{"groups": ["guests"], "protocol": "icmp"}, {"sites": ["cabin"]}]},
        "guests": {},
    }
    config = compiled(said, {"alice": ["staff"], "bob": ["guests"]})
    assert config.policy is not None
    assert config.policy.classes == (
        Class(),
        Class((Rule("groups.staff.reachableFrom[0]", classes=(2,), protocols=(1, 58)),)),
        Class((), (Rule("groups.staff.reachableFrom[1]", ("10.2.0.0/24", "fd00:10:2::/64")),)),
    )


def test_who_reaches_all_reaches_the_internet_where_the_group_says_how() -> None:
    for egress, reaches in ((None, False), ("none", False), ("pool", True)):
        config = compiled({"staff": {"reach": "all", "egress": egress}}, {"alice": ["staff"]})
        assert config.policy is not None
        assert config.policy.classes[1].outgoing[0].internet is reaches


def test_a_site_that_the_mesh_has_not_is_told_with_the_rule() -> None:
    said = {"staff": {"reach": [RULE, {"sites": ["cabin", "rome"]}]}}
    with pytest.raises(TopologyError, match=r"groups\.staff\.reach\[1\]: there is no site 'rome' in the mesh \(its"):
        compiled(said, {"alice": ["staff"]})


def test_nobody_is_judged_where_there_are_no_devices() -> None:
    topology = topology_of(two_sites())
    nobody = SiteFacts(GATEWAY, users=Users.of(None, None, {"staff": {"reach": "all"}}))
    config = compile_site(topology, "berlin", bundle_of(topology, "berlin"), nobody)[0]
    assert config.policy is None
    assert b"policy" not in config.to_json()


def test_a_policy_is_read_as_it_was_written_and_in_no_other_form() -> None:
    config = compiled({"staff": {"reach": [RULE, {"internet": True}]}}, {"alice": ["staff"]})
    blob = config.to_json()
    assert NodeConfig.from_json(blob) == config
    assert NodeConfig.from_json(blob).policy == config.policy
    for wrong in (
        (b'"ports":[[443,443],', b'"ports":[[443,65536],'),
        (b'"protocols":[6]', b'"protocols":[256]'),
        (b'"networks":["10.1.0.0/24"]', b'"networks":["10.1.0.0/024"]'),
        (b'"internet":true', b'"internet":1'),
        (b'"classes":[{"incoming":[],"outgoing":[]},', b'"classes":['),
        (b'"access":1', b'"access":"1"'),
    ):
        assert wrong[0] in blob
        with pytest.raises(ConfigError):
            NodeConfig.from_json(blob.replace(*wrong))


def test_a_policy_can_be_a_key() -> None:
    assert len({Policy(), Policy((Class((Rule("x"),)),)), Policy()}) == 2
