"""Rulesets by case files: NAME.json is a firewall, NAME.nft its script, NAME.listing.json what nft lists of it."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from wgnode.firewall import nft
from wgnode.firewall.expressions import LET_IN
from wgnode.firewall.forwards import Before, Forward
from wgnode.firewall.rules import Allow, Firewall, ruleset
from wgnode.topology.transit import Transit

CASES = Path(__file__).with_name("cases")
NAMES = sorted(path.stem for path in CASES.glob("*.json") if not path.stem.endswith(".listing"))
JUDGED = ("wan0", "wgnode-wan")
OURS = {"family": "inet", "table": "wgnode"}


def firewall(name="site"):
    case = json.loads((CASES / f"{name}.json").read_text())
    before = case.get("before", {"versions": [4, 6], "bridges": []})
    transit = Transit.of(*case["transit"])
    return Firewall(
        uplink=case["uplink"],
        transit=transit.networks,
        guest=tuple(address.split("/")[0] for address in transit.guest),
        listen_port=case["listenPort"],
        management=tuple(map(ip_network, case["managementNetworks"])),
        ssh_port=case["sshPort"],
        allow=tuple(
            Allow(one["protocol"], one["port"], tuple(map(ip_network, one.get("from", [])))) for one in case["allow"]
        ),
        forward=tuple(
            Forward(
                one.get("protocol"),
                one.get("port"),
                ip_network(one["to"]) if "to" in one else None,
                tuple(map(ip_network, one.get("from", []))),
            )
            for one in case.get("forward", [])
        ),
        keep=case.get("keep", False),
        before=Before(tuple(before["versions"]), tuple(before["bridges"])),
        left_alone=tuple(case.get("leftAlone", [])),
        inside=tuple(map(ip_network, case.get("inside", []))),
        outside=tuple(map(ip_network, case.get("outside", []))),
    )


def listing(name="site"):
    return json.loads((CASES / f"{name}.listing.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_a_firewall_renders_to_its_script(name):
    assert nft.script(ruleset(firewall(name))) == (CASES / f"{name}.nft").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_what_nft_lists_of_it_is_no_difference(name):
    assert nft.observed(json.dumps(listing(name))) == nft.described(ruleset(firewall(name)))


def test_a_rule_that_is_gone_is_missed_by_name():
    items = listing()
    items["nftables"] = [one for one in items["nftables"] if one.get("rule", {}).get("comment") != "dnat-v4"]
    wanted, found = nft.described(ruleset(firewall())), nft.observed(json.dumps(items))
    assert set(wanted.rules) - set(found.rules) == {"dnat-v4"}
    assert set(found.rules) <= set(wanted.rules)


def test_a_rule_that_was_changed_differs_under_its_name():
    items = listing()
    (rule,) = (one["rule"] for one in items["nftables"] if one.get("rule", {}).get("comment") == "input-ssh-v4")
    rule["expr"][2]["match"]["right"] = 2222
    wanted, found = nft.described(ruleset(firewall())), nft.observed(json.dumps(items))
    assert {name for name in wanted.rules if wanted.rules[name] != found.rules[name]} == {"input-ssh-v4"}


def test_a_negated_match_is_not_taken_for_the_plain_one():
    items = listing()
    (rule,) = (one["rule"] for one in items["nftables"] if one.get("rule", {}).get("comment") == "input-ssh-v4")
    rule["expr"][1]["match"]["op"] = "!="
    assert (
        nft.observed(json.dumps(items)).rules["input-ssh-v4"]
        != nft.described(ruleset(firewall())).rules["input-ssh-v4"]
    )


def test_a_single_flag_is_the_same_as_a_list_of_one():
    text = json.dumps(listing())
    assert '"flags": ["daddr"]' in text
    single = text.replace('"flags": ["daddr"]', '"flags": "daddr"')
    assert nft.observed(single) == nft.described(ruleset(firewall()))


def test_counters_are_no_difference():
    items = listing()
    for one in items["nftables"]:
        if "rule" in one:
            one["rule"]["expr"].insert(-1, {"counter": {"packets": 7, "bytes": 700}})
    assert nft.observed(json.dumps(items)) == nft.described(ruleset(firewall()))


def test_rules_of_others_in_our_table_are_seen():
    items = listing()
    stranger = {
        **OURS,
        "chain": "input",
        "expr": [{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 1}}],
    }
    items["nftables"] += [{"rule": {**stranger, "expr": [*stranger["expr"], {"log": {"prefix": "x"}}]}}] * 2
    found = nft.observed(json.dumps(items))
    assert {"unnamed-1", "unnamed-2"} <= set(found.rules)
    assert found.order["input"][-2:] == ["unnamed-1", "unnamed-2"]


def test_a_rule_of_others_without_statements_is_seen_too():
    items = listing()
    items["nftables"].append({"rule": {**OURS, "chain": "input", "handle": 99}})
    found = nft.observed(json.dumps(items))
    assert found.rules["unnamed-1"] == "input: "
    assert found.order["input"][-1] == "unnamed-1"


def test_a_chain_that_hangs_elsewhere_is_missing_or_is_anothers_is_seen():
    items = listing()
    chains = {one["chain"]["name"]: one["chain"] for one in items["nftables"] if "chain" in one}
    chains["input"]["policy"], chains["forward"]["prio"], chains["prerouting"]["hook"] = "drop", 5, "output"
    items["nftables"].append({"chain": {**OURS, "name": "extra"}})
    wanted, found = nft.described(ruleset(firewall())).chains, nft.observed(json.dumps(items)).chains
    assert {name: found[name] for name in found if found[name] != wanted.get(name)} == {
        "input": "filter hook input priority 0; policy drop",
        "forward": "filter hook forward priority 5; policy accept",
        "prerouting": "nat hook output priority -100; policy accept",
        "extra": "not hooked",
    }


def test_sets_maps_and_flags_in_our_table_are_seen_and_other_tables_are_not():
    items = listing()
    items["nftables"] += [
        {"set": {**OURS, "name": "s", "type": "ipv4_addr", "elem": ["192.0.2.1"]}},
        {"table": {"family": "inet", "name": "wgnode", "flags": "c"}},
        {"chain": {"family": "ip", "table": "wgnode", "name": "theirs"}},
        {"set": {"family": "inet", "table": "mine", "name": "theirs", "type": "ipv4_addr"}},
    ]
    found = nft.observed(json.dumps(items))
    assert found.others == {"set s": '["192.0.2.1"]', "flags": "of the table, such as dormant"}
    assert "theirs" not in found.chains


def test_the_order_of_rules_counts():
    items = listing()
    rules = [one for one in items["nftables"] if one.get("rule", {}).get("chain") == "input"]
    items["nftables"].remove(rules[-1])
    items["nftables"].insert(items["nftables"].index(rules[0]), rules[-1])
    found = nft.observed(json.dumps(items))
    assert found.rules == nft.described(ruleset(firewall())).rules
    assert found.order != nft.described(ruleset(firewall())).order


def test_only_the_uplink_and_the_link_to_the_gateway_are_judged():
    for chain in (one for one in ruleset(firewall()) if "unknown" not in one.name):
        for rule in chain.rules:
            text = nft.rule_text(rule.expressions)
            assert text.startswith(tuple(f'{way} "{name}" ' for way in ("iifname", "oifname") for name in JUDGED))


def test_interfaces_and_sources_that_are_known_are_let_through_before_what_comes_from_outside_is_judged():
    for chain in (one for one in ruleset(firewall("around")) if "unknown" in one.name):
        texts = [nft.rule_text(rule.expressions) for rule in chain.rules]
        named = [place for place, rule in enumerate(chain.rules) if rule.name.startswith(left_alone(chain.name))]
        assert named == list(range(7))
        assert texts[0] == 'iifname { "lan0", "lo", "vmbr0", "wan1", "wgnode-br0", "wgnode-wan" } accept'
        assert all(text.endswith(" accept") for text in texts[:7])
        assert not [text for text in texts[7:] if "iifname" in text], "whatever its interface"


def left_alone(chain):
    return tuple(f"{chain}-{what}" for what in ("known", "private", "inside"))


@pytest.mark.parametrize(("chain", "way"), [("input", "iifname"), ("forward", "iifname"), ("forward", "oifname")])
def test_what_crosses_the_link_to_the_gateway_is_dropped_unless_a_rule_names_it(chain, way):
    (rules,) = (one.rules for one in ruleset(firewall()) if one.name == chain)
    texts = [nft.rule_text(rule.expressions) for rule in rules]
    before = texts[: texts.index(f'{way} "wgnode-wan" drop')]
    assert not [text for text in before if text.startswith(f'{way} "wgnode-wan"') and "tcp" in text]
    assert not [text for text in texts if text == f'{way} "wgnode-wan" accept']


def test_a_gateway_is_no_router_to_its_host():
    rules = nft.described(ruleset(firewall())).rules
    assert "nd-router-advert" in rules["input-icmpv6"]
    assert "nd-router-advert" not in rules["input-gateway-icmpv6"]
    assert "nd-neighbor-solicit" in rules["input-gateway-icmpv6"]


def test_rule_names_are_unique_even_for_a_port_that_is_named_twice():
    base = firewall()
    sources = (ip_network("10.0.0.0/8"), ip_network("10.1.0.0/16"))
    twice = (
        Allow("tcp", 443, sources[:1]),
        Allow("tcp", 443, sources[1:]),
        Allow("udp", 53, sources),
        Allow("udp", 53),
    )
    made = Firewall(**{**base.__dict__, "allow": twice})
    names = [rule.name for chain in ruleset(made) for rule in chain.rules]
    assert len(names) == len(set(names))
    rules, let_in = nft.described(ruleset(made)).rules, f"mark set mark | {LET_IN} accept"
    assert rules["input-allow-tcp-443-v4"] == f'input: iifname "wan0" ip saddr 10.0.0.0/8 tcp dport 443 {let_in}'
    assert rules["input-allow-udp-53"] == f'input: iifname "wan0" udp dport 53 {let_in}'


@pytest.mark.parametrize("hook", ["input", "forward"])
def test_no_table_drops_what_comes_by_the_uplink_before_all_have_had_their_say(hook):
    """Between their chains, whatever their order, and after the bit was cleared of what others made of it."""
    chains = {chain.name: chain for chain in ruleset(firewall()) if chain.hook == hook and "unknown" not in chain.name}
    order = [name for name, _ in sorted(chains.items(), key=lambda one: one[1].priority)]
    assert order == [f"{hook}-begin", hook, f"{hook}-end", f"{hook}-after"]
    texts = {name: [nft.rule_text(rule.expressions) for rule in chain.rules] for name, chain in chains.items()}
    to_own_gateway = 'iifname "wan0" oifname "wgnode-wan" drop'  # what nobody else may open
    of_uplink = [text for text in texts[hook] if text.startswith('iifname "wan0"') and text != to_own_gateway]
    assert of_uplink
    assert all(text.endswith(f"mark set mark | {LET_IN} accept") for text in of_uplink)
    cleared = [f'iifname "wan0" mark set mark & {~LET_IN & 0xFFFFFFFF}']
    assert texts[f"{hook}-begin"] == texts[f"{hook}-after"] == cleared
    assert texts[f"{hook}-end"] == [f'iifname "wan0" mark & {LET_IN} == 0 drop']


@pytest.mark.parametrize("hook", ["input", "forward"])
def test_what_is_unknown_is_judged_behind_each_chain_of_the_uplink_and_before_the_mark_is_cleared(hook):
    order = sorted((chain for chain in ruleset(firewall()) if chain.hook == hook), key=lambda one: one.priority)
    names = ("begin", "unknown-begin", "", "unknown", "end", "unknown-end", "after", "unknown-after")
    assert [chain.name for chain in order] == ["-".join(filter(None, (hook, name))) for name in names]


def test_no_table_drops_a_new_way_before_all_have_had_their_say():
    made = replace(firewall(), before=Before((4,), ("lan0",), ("vpn0",)), forward=(Forward(to=ip_network("::/0")),))
    chains = {chain.name: [nft.rule_text(rule.expressions) for rule in chain.rules] for chain in ruleset(made)}
    for name in ("begin", "after"):
        assert chains[f"forward-{name}"] == [f"mark set mark & {~LET_IN & 0xFFFFFFFF}"], "whatever it came by"
    passed, unmarked = f"mark set mark | {LET_IN} accept", f"mark & {LET_IN} == 0 drop"
    assert f'iifname "vpn0" {passed}' in chains["forward"]
    assert f"ip6 daddr ::/0 {passed}" in chains["forward"]
    assert chains["forward-end"][-2:] == [
        f'iifname "lan0" oifname != "lan0" meta nfproto ipv6 {unmarked}',
        f'meta iifkind != "bridge" meta nfproto ipv6 {unmarked}',
    ]


def test_each_gateway_s_table_lets_pass_what_another_s_translates_to_its_own_gateway():
    """A packet passes the base chains of all tables, so one that drops it cuts the others off."""
    second = ruleset(replace(firewall(), transit_interface="wgnwan-0b1c2d3e"))
    forward = {rule.name: nft.rule_text(rule.expressions) for rule in second[3].rules}
    names, passed = list(forward), f"mark set mark | {LET_IN} accept"
    own, behind = names.index("forward-to-gateway-new"), names.index("forward-gateway-established")
    assert names[own:behind] == [
        "forward-to-gateway-new",
        "forward-other-gateway-1",
        "forward-other-gateway-2",
    ]
    assert forward["forward-other-gateway-1"] == f'iifname "wan0" oifname "wgnode-wan" ct status dnat {passed}'
    assert forward["forward-other-gateway-2"] == f'iifname "wan0" oifname "wgnwan-*" ct status dnat {passed}'
    assert forward["forward-to-gateway-new"] == 'iifname "wan0" oifname "wgnwan-0b1c2d3e" drop', "not by the pattern"
    plain = [rule.name for rule in ruleset(firewall())[3].rules]
    assert "forward-other-gateway-1" not in plain
    assert "forward-other-gateway-2" in plain
    assert "table inet wgnode_0b1c2d3e {" in nft.script(second, "wgnode_0b1c2d3e")
