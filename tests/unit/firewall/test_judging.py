"""What becomes of a site's packets in other people's rules: only what is sure is called dropped."""

from __future__ import annotations

import json
from copy import deepcopy
from ipaddress import ip_network
from pathlib import Path
from random import Random

import pytest

from tests.unit.firewall.test_foreign import chain, listing, match, meta, passing, rule
from wgnode.firewall.others.foreign import foreign, legacy, saved
from wgnode.firewall.others.packet import Site
from wgnode.firewall.others.translations import translations

OTHERS = Path(__file__).with_name("others")
SITE = Site(
    uplink="wan0",
    guests={"ip": ip_network("172.31.255.254"), "ip6": ip_network("fd77:676e:6f64:6500::2")},
    remote={"ip": (ip_network("10.2.0.0/24"),), "ip6": (ip_network("fd00:2::/64"),)},
)
BRIDGED = Site(**{**SITE.__dict__, "bridged": frozenset({"ip", "ip6"})})
BASE = chain("filter", "forward", "forward", "drop", family="inet")
ACCEPT, DROP = {"accept": None}, {"drop": None}
PORT = {"payload": {"protocol": "tcp", "field": "dport"}}
STATE = {"ct": {"key": "state"}}
IN, OUT = {"meta": {"key": "iifname"}}, {"meta": {"key": "oifname"}}
ROUTED = "the LAN's packets to other sites, which are routed from wgnode-br0 to wgnode-br0"


def own(*expressions, where="forward"):
    return rule("filter", where, *expressions, family="inet")


def verdicts(*items, site=SITE):
    """The ways of the site that the rules drop, and those of which that is not sure."""
    found = foreign(listing(BASE, *items), site)
    return (
        {path.name for one in found for path in one.dropped},
        {path.name for one in found for path in one.unsure},
    )


def with_program(name, iptables=True):
    tables = []
    if iptables:
        for version, family in (("v4", "ip"), ("v6", "ip6")):
            tables += saved((OTHERS / f"{name}.{version}.save").read_text(), family)
    return foreign((OTHERS / f"{name}.json").read_text(), SITE, tables)


@pytest.mark.parametrize("name", ["docker20", "docker28", "ufw"])
def test_of_real_rules_both_families_are_dropped_on_every_way(name):
    found = [one for one in with_program(name) if one.hook == "forward"]
    assert [str(one).split(" (")[0] for one in found] == ["ip filter FORWARD", "ip6 filter FORWARD"]
    for one in found:
        assert {path.name for path in one.dropped} == {
            "WireGuard's datagrams from wan0 to wgnode-wan",
            "WireGuard's datagrams from wgnode-wan to wan0",
            ROUTED,
        }


@pytest.mark.parametrize("name", ["docker20", "docker28", "ufw"])
def test_nothing_of_real_rules_is_in_the_way_but_forwarding(name):
    assert [str(one) for one in with_program(name) if one.hook != "forward" and not one.passes_us] == []


def test_rules_of_which_nft_shows_no_more_than_that_they_are_are_not_sure():
    (four, six) = (one for one in with_program("ufw", iptables=False) if one.hook == "forward")
    assert not four.dropped
    assert not six.dropped
    assert four.unsure
    assert six.unsure


def test_firewalld_drops_what_it_takes_for_invalid_before_it_asks_for_zones():
    (found,) = (one for one in with_program("firewalld", iptables=False) if one.hook == "forward")
    assert ROUTED in {path.name for path in found.dropped}
    assert "notrack" in found.way_out
    assert "--zone=internal --add-interface=wgnode-br0" in found.way_out


@pytest.mark.parametrize(("version", "family", "program"), [("v4", "ip", "iptables"), ("v6", "ip6", "ip6tables")])
@pytest.mark.parametrize("name", ["docker20", "docker28", "ufw"])
def test_with_what_is_told_it_passes_and_without_any_part_of_it_does_not(name, version, family, program):
    text = (OTHERS / f"{name}.{version}.save").read_text()
    tables = saved(text, family)
    (found,) = (one for one in foreign("", SITE, tables) if one.hook == "forward")
    if name == "ufw":
        assert found.way_out.startswith("ufw route allow in on wgnode-wan; ufw route allow out on wgnode-wan; ")
        chain, ways = (
            f"ufw{'6' if version == 'v6' else ''}-user-forward",
            ["-i wgnode-wan", "-o wgnode-wan", "-i wgnode-br0 -o wgnode-br0"],
        )
    else:
        told = [command.split() for command in found.way_out.split("; ")]
        assert {words[0] for words in told} == {program}
        chain = told[0][2]
        assert chain == ("FORWARD" if (name, version) == ("docker20", "v6") else "DOCKER-USER")
        ways = [" ".join(words[3:-2]) for words in told]

    def judged(followed):
        inserted = "".join(f"-A {chain} {way} -j ACCEPT\n" for way in followed)
        first = text.index(f"-A {chain} " if f"-A {chain} " in text else "COMMIT", text.index("*filter"))
        tables = saved(text[:first] + inserted + text[first:], family)
        return [one for one in foreign("", SITE, tables) if one.hook == "forward" and not one.passes_us]

    assert judged(ways) == []
    for way in ways:
        assert judged([one for one in ways if one != way]), way


@pytest.mark.parametrize(
    ("item", "ways"),
    [
        pytest.param([], {"sets": ["wgnode-wan", "wgnode-br0"]}, id="set"),
        pytest.param(
            [{"set": {"family": "inet", "table": "filter", "name": "mine", "elem": ["wgnode-wan", "wgnode-br0"]}}],
            "@mine",
            id="named set",
        ),
        pytest.param([], "wgnode-*", id="pattern"),
    ],
)
def test_sets_and_patterns_of_interfaces_are_read(item, ways):
    right = {"set": ways["sets"]} if isinstance(ways, dict) else ways
    rules = [own(match(IN, right), ACCEPT), own(match(OUT, right), ACCEPT)]
    assert verdicts(*item, *rules) == (set(), set())
    assert verdicts(*item, *rules[:1])[0] == {"WireGuard's datagrams from wan0 to wgnode-wan"}


def test_a_set_that_packets_fill_or_that_is_not_there_is_not_sure():
    filled = {"set": {"family": "inet", "table": "filter", "name": "seen", "flags": ["dynamic"], "elem": []}}
    for item, name in ((filled, "@seen"), (filled, "@nowhere")):
        dropped, unsure = verdicts(item, own(match(IN, name), ACCEPT))
        assert dropped == set()
        assert len(unsure) == 3


@pytest.mark.parametrize(
    ("right", "sure"),
    [
        ({"range": [51000, 52000]}, True),
        ({"set": [{"range": [1, 100]}, {"range": [51820, 51820]}]}, True),
        ({"set": [53, {"elem": {"val": 51820, "comment": "wg"}}]}, True),
        ({"range": [1, 51819]}, False),
        ({"range": [0, 65535]}, True),
    ],
)
def test_ranges_of_ports_are_read(right, sure):
    udp = {"payload": {"protocol": "udp", "field": "dport"}}
    into = own(match(OUT, "wgnode-wan"), match(udp, right), ACCEPT)
    dropped, unsure = verdicts(into, *(own(*way, ACCEPT) for way in passing()[::2]))
    assert (dropped == set()) is sure
    assert unsure == set()


def test_what_lets_pass_some_ports_of_the_lan_only_is_not_sure():
    rules = [own(*way, ACCEPT) for way in passing()[:2]]
    lan = [match(IN, "wgnode-br0"), match(OUT, "wgnode-br0")]
    assert verdicts(*rules, own(*lan, match(PORT, {"set": [22, 443]}), ACCEPT)) == (set(), {ROUTED})
    new = match(STATE, {"set": ["new", "established"]})
    assert verdicts(*rules, own(*lan, new, match(PORT, 22), ACCEPT))[0] == {ROUTED}, "half of a connection is invalid"
    assert ROUTED in verdicts(*rules, own(*lan, new, match(PORT, 22), ACCEPT), site=BRIDGED)[1]
    assert verdicts(*rules, own(*lan, meta("l4proto", "tcp"), ACCEPT)) == (set(), {ROUTED}), "TCP alone"


def test_addresses_are_compared_as_networks():
    source = {"payload": {"protocol": "ip", "field": "daddr"}}
    for network, dropped in (("10.0.0.0/8", set()), ("10.2.0.0/25", None), ("10.3.0.0/16", {ROUTED})):
        address, length = network.split("/")
        to = match(source, {"prefix": {"addr": address, "len": int(length)}})
        four = [*(own(*way, ACCEPT) for way in passing()[:2]), own(*passing()[2], to, ACCEPT)]
        found = verdicts(*four, own(*passing()[2], meta("nfproto", "ipv6"), ACCEPT))
        assert found == ((set(), {ROUTED}) if dropped is None else (dropped, set()))


def test_whoever_drops_addresses_that_nobody_has_drops_nothing_of_ours():
    base = chain("mine", "fwd", "forward", "accept", family="inet")
    to = {"payload": {"protocol": "ip6", "field": "daddr"}}
    for address, length, sure in (("2002:a00::", 24, True), ("::", 96, True), ("2001:db8::", 32, False)):
        bogus = match(to, {"set": [{"prefix": {"addr": address, "len": length}}]})
        found = foreign(listing(base, rule("mine", "fwd", bogus, DROP, family="inet")), SITE)
        assert (found == []) is sure


def test_verdict_maps_jumps_gotos_and_returns_are_followed():
    inner = chain("filter", "lan", family="inet")
    jump = {
        "vmap": {"key": {"concat": [IN, OUT]}, "data": {"set": [[{"concat": ["wgnode-br0", "wgnode-br0"]}, ACCEPT]]}}
    }
    transit = {"vmap": {"key": IN, "data": "@ways"}}
    ways = {
        "map": {
            "family": "inet",
            "table": "filter",
            "name": "ways",
            "elem": [["wgnode-wan", {"goto": {"target": "lan"}}]],
        }
    }
    back = own(match(OUT, "wgnode-wan"), {"jump": {"target": "lan"}})
    items = [inner, ways, own(jump), own(transit), back]
    assert verdicts(*items, own(ACCEPT, where="lan")) == (set(), set())
    assert len(verdicts(*items, own({"return": None}, where="lan"))[0]) == 2


def test_a_rule_without_statements_is_a_rule_and_changes_nothing():
    empty = {"rule": {"family": "inet", "table": "filter", "chain": "forward", "handle": 5}}
    assert verdicts(empty, *(own(*way, ACCEPT) for way in passing())) == (set(), set())
    assert len(verdicts(empty)[0]) == 3


UNREAD = [{"queue": {"num": 0}}, {"xt": {"type": "target", "name": "XYZ"}}, "unread", {"new": 1}]


@pytest.mark.parametrize("statement", UNREAD)
def test_a_statement_whose_verdict_is_not_known_is_not_sure(statement):
    dropped, unsure = verdicts(own(statement))
    assert dropped == set()
    assert len(unsure) == 3


def test_a_limit_lets_pass_some():
    limited = [own(*way, {"limit": {"rate": 5, "per": "second"}}, ACCEPT) for way in passing()]
    assert verdicts(*limited)[0] == set()
    assert len(verdicts(*limited)[1]) == 3


def test_logging_and_counting_before_a_last_drop_changes_nothing():
    items = [own({"counter": None}, {"log": {"prefix": "x"}}, DROP)]
    assert len(verdicts(*items)[0]) == 3


def test_half_of_a_connection_is_invalid_unless_the_bridge_shows_both_halves_or_it_is_not_tracked():
    base = chain("filter", "forward", "forward", "accept", family="inet")
    items = listing(base, own(match(STATE, "invalid", "in"), DROP))
    (found,) = foreign(items, SITE)
    assert {path.name for path in found.dropped} == {ROUTED}
    assert found.way_out == "nft insert rule inet filter forward iifname wgnode-br0 oifname wgnode-br0 accept"
    assert foreign(items, BRIDGED) == []
    assert foreign(items, Site(uplink="wan0", routed=())) == [], "reached by proxy ARP or masquerading"
    fib = {"fib": {"result": "oifname", "flags": ["daddr"]}}
    raw = {"family": "inet", "table": "raw", "name": "pre", "type": "filter", "hook": "prerouting", "prio": -300}
    rules = [*json.loads(items)["nftables"], {"chain": {**raw, "policy": "accept"}}]
    rules.append(
        rule("raw", "pre", match(IN, "wgnode-br0"), match(fib, "wgnode-br0"), {"notrack": None}, family="inet")
    )
    assert foreign(json.dumps({"nftables": rules}), SITE) == []


def test_frames_within_the_bridge_count_where_br_netfilter_shows_them():
    items = [own(*way, ACCEPT) for way in passing()[:2]]
    proxied = Site(uplink="wan0", routed=())
    assert foreign(listing(BASE, *items), proxied)[0].passes_us
    (found,) = foreign(listing(BASE, *items), Site(uplink="wan0", routed=(), bridged=frozenset({"ip"})))
    assert [path.name for path in found.dropped] == [
        "frames between the LAN and the gateway within wgnode-br0, which br_netfilter shows to it"
    ]


def test_tables_of_bridges_and_chains_before_and_after_routing_count_too():
    bridge = chain("mine", "fwd", "forward", "drop", family="bridge")
    (found,) = foreign(listing(bridge), SITE)
    assert found.way_out == "nft insert rule bridge mine fwd meta ibrname wgnode-br0 accept"
    accept = rule("mine", "fwd", match({"meta": {"key": "ibrname"}}, "wgnode-br0"), ACCEPT, family="bridge")
    assert foreign(listing(bridge, accept), SITE) == []
    after = chain("mine", "post", "postrouting", "drop", family="inet")
    (found,) = foreign(listing(after), SITE)
    assert len({path.name for path in found.dropped}) == 3


def test_neighbour_discovery_of_the_gateway_has_to_come_in():
    closed = chain("mine", "in", "input", "drop", family="inet")
    (found,) = foreign(listing(closed), SITE)
    assert [path.name for path in found.dropped] == ["neighbour discovery on wgnode-wan"]
    assert found.way_out.startswith("nft insert rule inet mine in iifname wgnode-wan icmpv6 type")
    kinds = {"set": ["nd-neighbor-solicit", "nd-neighbor-advert"]}
    icmp = match({"payload": {"protocol": "icmpv6", "field": "type"}}, kinds)
    assert foreign(listing(closed, rule("mine", "in", icmp, ACCEPT, family="inet")), SITE)[0].passes_us


@pytest.mark.parametrize(
    ("family", "table", "told"),
    [
        ("inet", "filter", "nft insert rule inet filter FORWARD iifname wgnode-wan accept"),
        ("ip6", "filter", "nft insert rule ip6 filter FORWARD iifname wgnode-wan accept"),
        ("ip", "mine", "nft insert rule ip mine FORWARD iifname wgnode-wan accept"),
    ],
)
def test_advice_is_in_the_language_of_the_table(family, table, told):
    (found,) = foreign(listing(chain(table, "FORWARD", "forward", "drop", family=family)), SITE)
    assert found.way_out.startswith(told)
    assert "tables" not in found.way_out


def test_advice_about_what_iptables_made_is_its_own():
    text = "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n*mangle\n:FORWARD ACCEPT [0:0]\n-A FORWARD -j DROP\nCOMMIT\n"
    found = foreign("", SITE, saved(text, "ip"))
    assert [one.way_out.split(";")[0] for one in found] == [
        "iptables -I FORWARD -i wgnode-wan -j ACCEPT",
        "iptables -t mangle -I FORWARD -i wgnode-wan -j ACCEPT",
    ]
    assert legacy(text, "ip6", SITE)[0].way_out.startswith("ip6tables-legacy -I FORWARD -i wgnode-wan")


@pytest.mark.parametrize(
    ("option", "passes"),
    [
        ("-o wgnode-br0", True),
        ("! -i eth9", True),
        ("! -i wgnode-br0", False),
        ("-i wgnode-+", True),
        ("-d 10.0.0.0/8", True),
        ("-d 10.2.0.0/255.255.255.0", True),
        ("-d 10.9.0.0/16", False),
        ("-d 10.2.0.0/25", None),
        ("-m iprange --dst-range 10.2.0.0-10.2.0.255", True),
        ("-m set --match-set mine dst", None),
        ("-m mark --mark 0x1", None),
        ("-m physdev --physdev-is-bridged", False),
        ("-m conntrack --ctstate NEW,INVALID", True),
        ("-m conntrack ! --ctstate INVALID", False),
        ('-m comment --comment "-j DROP"', True),
        ("-m limit --limit 5/min", None),
        ("-p tcp -m multiport --dports 1:65535", None),
    ],
)
def test_matches_of_iptables_are_read(option, passes):
    text = f"*filter\n:FORWARD DROP [0:0]\n-A FORWARD {option} -i wgnode-br0 -j ACCEPT\nCOMMIT\n"
    if "-i " in option:
        text = text.replace(" -i wgnode-br0 -j", " -j")
    site = Site(**{**SITE.__dict__, "families": ("ip",)})
    (found,) = foreign("", site, saved(text, "ip"))
    lan = ROUTED not in {path.name for path in found.dropped}
    assert (lan if ROUTED not in {path.name for path in found.unsure} else None) is passes


def test_a_line_of_iptables_that_cannot_be_read_is_not_sure():
    text = ":FORWARD DROP [0:0]\n-A FORWARD -m new --what 'is this\n"
    (found,) = foreign("", SITE, saved(text, "ip"))
    assert found.dropped
    text = ":FORWARD DROP [0:0]\n-A FORWARD -m new --what is -j ACCEPT\n"
    (found,) = foreign("", SITE, saved(text, "ip"))
    assert not found.dropped
    assert found.unsure


def _paths(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths(inner, (*path, key))


@pytest.mark.parametrize("junk", [None, 7, "x", [], {}, ["a", 1], {"range": [1, 2]}, {"unknown": 1}])
@pytest.mark.parametrize("name", ["docker20", "firewalld"])
def test_rules_of_a_form_that_nobody_knows_are_read_all_the_same(name, junk):
    """Whatever stands anywhere in a rule; a rule that is no more understood is at worst not sure."""
    chance = Random(f"{name} {junk}")
    whole = json.loads((OTHERS / f"{name}.json").read_text())
    places = [path for path in _paths(whole) if len(path) > 4 and path[2] == "rule"]
    for path in chance.sample(places, 40):
        listing = deepcopy(whole)
        inner = listing
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = junk
        text = json.dumps(listing)
        assert foreign(text, SITE)
        translations(text, (), "wan0")


def test_an_accept_that_is_no_more_understood_is_not_taken_for_a_drop():
    for left in ({"new": 1}, {"meta": {}}, {"meta": {"key": "new"}}, 7, None):
        accepts = own({"match": {"op": "==", "left": left, "right": "x"}}, ACCEPT)
        assert verdicts(accepts)[0] == set()
        assert len(verdicts(accepts)[1]) == 3
