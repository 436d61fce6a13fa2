"""Other firewalls, from rulesets as nft lists them."""

from __future__ import annotations

import json

from wgnode.firewall.others.foreign import foreign, legacy


def chain(table, name, hook=None, policy="accept", family="ip"):
    base = {"type": "filter", "hook": hook, "prio": 0, "policy": policy} if hook else {}
    return {"chain": {"family": family, "table": table, "name": name, **base}}


def rule(table, name, *expressions, family="ip"):
    return {"rule": {"family": family, "table": table, "chain": name, "expr": list(expressions)}}


def listing(*items):
    return json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, *items]})


def test_a_host_without_other_firewalls_has_none():
    assert foreign(listing()) == []
    assert foreign("") == []


def test_ours_and_accepting_ones_do_not_count():
    drop = {"drop": None}
    ours = [chain("wgnode", "forward", "forward", family="inet"), rule("wgnode", "forward", drop, family="inet")]
    harmless = [chain("filter", "FORWARD", "forward"), rule("filter", "FORWARD", {"accept": None})]
    assert foreign(listing(*ours, *harmless)) == []


def test_docker_is_named_with_a_way_out():
    items = [chain("filter", "FORWARD", "forward", "drop"), chain("filter", "DOCKER-USER")]
    (found,) = foreign(listing(*items))
    assert str(found) == "ip filter FORWARD (Docker)"
    assert found.hook == "forward"
    assert not found.passes_us
    assert "iptables -I DOCKER-USER -i wgnode-wan -j ACCEPT" in found.way_out


def match(left, right, op="=="):
    return {"match": {"op": op, "left": left, "right": right}}


def meta(key, right, op="=="):
    return match({"meta": {"key": key}}, right, op)


def passing(bridge="wgnode-br0"):
    """What lets every way of a site through."""
    ways = [[meta("iifname", "wgnode-wan")], [meta("oifname", "wgnode-wan")]]
    return [*ways, [meta("iifname", bridge), meta("oifname", bridge)]]


def test_a_firewall_that_lets_us_through_is_told_apart():
    items = [chain("filter", "FORWARD", "forward", "drop"), chain("filter", "DOCKER-USER")]
    items.append(rule("filter", "FORWARD", {"jump": {"target": "DOCKER-USER"}}))
    through = [rule("filter", "DOCKER-USER", *way, {"accept": None}) for way in passing()]
    assert foreign(listing(*items, *through))[0].passes_us
    for number in range(3):
        (found,) = foreign(listing(*items, *through[:number], *through[number + 1 :]))
        assert not found.passes_us, "each of them is needed"


def test_ufw_drops_by_policy():
    items = [chain("filter", "INPUT", "input", "drop"), chain("filter", "ufw-before-forward")]
    assert [str(one) for one in foreign(listing(*items))] == ["ip filter INPUT (ufw)"]


def test_firewalld_rejects_by_its_last_rule():
    last = rule("firewalld", "filter_FORWARD", {"reject": {"type": "icmpx", "expr": "admin-prohibited"}}, family="inet")
    items = [chain("firewalld", "filter_FORWARD", "forward", family="inet"), last]
    (found,) = foreign(listing(*items))
    assert found.owner == "firewalld"
    assert "firewall-cmd" in found.way_out


def test_a_last_rule_that_drops_only_some_packets_is_not_a_wall():
    some = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "eth1"}}
    items = [chain("mine", "fwd", "forward", family="inet"), rule("mine", "fwd", some, {"drop": None}, family="inet")]
    assert foreign(listing(*items)) == []
    wall = rule("mine", "fwd", {"counter": {"packets": 0, "bytes": 0}}, {"drop": None}, family="inet")
    (found,) = foreign(listing(*items, wall))
    assert "nft insert rule inet mine fwd iifname wgnode-wan accept" in found.way_out


def test_a_port_is_blocked_unless_a_rule_accepts_it():
    dport = {
        "match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [22, 443]}}
    }
    wall = chain("mine", "in", "input", "drop", family="inet")
    (found,) = foreign(listing(wall, rule("mine", "in", dport, {"accept": None}, family="inet")))
    assert not found.blocks_port(443)
    assert found.blocks_port(8080)


def test_a_table_with_rules_that_nft_cannot_show_is_not_judged_by_port():
    unseen = rule("filter", "INPUT", {"xt": {"type": "match", "name": "multiport"}}, {"accept": None})
    (found,) = foreign(listing(chain("filter", "INPUT", "input", "drop"), unseen))
    assert not found.blocks_port(8080)


def test_a_forward_chain_blocks_no_port_of_the_host():
    (found,) = foreign(listing(chain("mine", "fwd", "forward", "drop", family="inet")))
    assert not found.blocks_port(8080)


def test_old_iptables_are_seen_too():
    rules = "-P INPUT ACCEPT\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n"
    (found,) = legacy(rules, "ip")
    assert str(found) == "ip filter FORWARD (iptables-legacy)"
    assert found.hook == "forward"
    assert found.way_out.startswith("iptables-legacy -I FORWARD -i wgnode-wan")
    assert not found.passes_us
    accepts = ("-i wgnode-wan", "-o wgnode-wan", "-i wgnode-br0 -o wgnode-br0")
    assert legacy(rules + "".join(f"-A FORWARD {way} -j ACCEPT\n" for way in accepts), "ip")[0].passes_us
    assert legacy("-P FORWARD ACCEPT\n", "ip") == []


def test_the_tables_of_a_host_s_other_gateways_are_no_strangers():
    def blocking(table):
        chain = {"family": "inet", "table": table, "name": "forward", "hook": "forward", "policy": "drop"}
        return foreign(json.dumps({"nftables": [{"chain": chain}]}))

    assert blocking("wgnode") == blocking("wgnode_0b1c2d3e") == []
    assert [str(one) for one in blocking("wgnode_of_mine")] == ["inet wgnode_of_mine forward"]
