"""Rules, sets and maps of devices that leave: who is in them, and what nft lists of them reads as it was wanted.

What packets do by them is tried in tests/lab/test_egress.py.
"""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from wgnode.firewall import egress, nft
from wgnode.firewall.egress import Egress, Leaving
from wgnode.firewall.rules import ruleset

from .test_rules import firewall

ALICE = Leaving("alice/phone", ip_address("10.1.0.130"), ip_address("203.0.113.33"))
BOB = Leaving("bob/desk", ip_address("fd00:10:1::1001"), ip_address("2001:db8::33"), is_open=True)
CAROL = Leaving("carol/pad", ip_address("10.1.0.132"))
LEAVING = Egress("br0", (ALICE, BOB, CAROL))


def rules(devices: Egress | None) -> dict[str, str]:
    wanted = replace(firewall(), egress=devices)
    return dict(nft.described(ruleset(wanted), egress.sets(devices)).rules)


def test_a_site_from_which_nobody_leaves_has_no_rule_more() -> None:
    plain = nft.described(ruleset(firewall()))
    assert not any("egress" in name for name in (*plain.rules, *plain.chains))
    assert plain.sets == ()


def test_each_kind_of_leaving_has_its_rules_and_no_more() -> None:
    more = {name: text for name, text in rules(LEAVING).items() if name not in rules(None)}
    assert sorted(name for name in more if name.startswith("egress")) == [
        *("egress-dnat-gateway-v4", "egress-dnat-gateway-v6", "egress-dnat-lan-v4", "egress-dnat-lan-v6"),
        *("egress-dnat-uplink-v6", "egress-lan-v4", "egress-lan-v6"),
        *("egress-masquerade-between-v4", "egress-masquerade-v4", "egress-none-v4", "egress-none-v6"),
        *("egress-snat-between-v4", "egress-snat-between-v6", "egress-snat-v4", "egress-snat-v6"),
    ]
    assert more["egress-snat-v4"] == (
        'postrouting-egress: iifname "wgnode-wan" oifname "wan0" snat ip to ip saddr map @egress-out-v4'
    )
    assert more["egress-dnat-uplink-v6"] == (
        'prerouting-egress: iifname "wan0" dnat ip6 to ip6 daddr map @egress-open-v6'
    )
    assert "ip6 daddr fd00:10:1::1001" in more["forward-egress-open-v6"]
    assert "forward-egress-open-v4" not in more, "nobody may begin with Alice"


def test_a_device_s_packets_are_let_through_before_all_others_of_the_gateway_are_dropped() -> None:
    forward = next(chain for chain in ruleset(replace(firewall(), egress=LEAVING)) if chain.name == "forward")
    names = [rule.name for rule in forward.rules]
    assert names[:2] == ["forward-egress-spoofed-v4", "forward-egress-spoofed-v6"], "also of flows that run"
    assert names.index("forward-egress-v4") < names.index("forward-gateway-drop")
    assert names.index("forward-egress-open-v6") < names.index("forward-to-gateway-new")


addresses = st.integers(0, 62).map(lambda last: ip_address(f"10.1.0.{last + 128}"))
publics = st.none() | st.integers(0, 30).map(lambda last: ip_address(f"203.0.113.{last + 32}"))
devices = st.lists(st.tuples(addresses, publics, st.booleans()), unique_by=lambda one: one[0], max_size=8)


def leaving(drawn: list[tuple[object, object, bool]]) -> Egress:
    """Of those who drew the same public address, the first has it."""
    taken: set[object] = {None}
    found = []
    for address, public, is_open in drawn:
        found.append(Leaving(f"u/{address}", address, None if public in taken else public, is_open))  # type: ignore[arg-type]
        taken.add(public)
    return Egress("br0", tuple(found))


@given(devices)
def test_each_device_is_translated_to_one_address_and_back_or_masqueraded(
    drawn: list[tuple[object, object, bool]],
) -> None:
    wanted = leaving(drawn)
    found = {one.kind: dict(one.elements) for one in egress.sets(wanted)}
    out, back, by_host = (found.get(f"egress-{kind}", {}) for kind in ("out", "in", "host"))
    assert {public: address for address, public in out.items()} == back
    assert len(back) == len(out)
    assert set(found.get("egress", {})) == {str(one.address) for one in wanted.devices} == {*out, *by_host}
    assert not set(out) & set(by_host)
    assert set(found.get("egress-open", {}).items()) <= set(back.items())


@given(devices, devices)
def test_what_changes_is_exactly_what_is_translated_otherwise(
    before: list[tuple[object, object, bool]], after: list[tuple[object, object, bool]]
) -> None:
    was, now = leaving(before), leaving(after)
    kept = {(one.address, one.public) for one in now.devices}
    found = egress.changed(egress.sets(was), egress.sets(now))
    inside = {address for address in found if address.startswith("10.")}
    stopped = {str(one.address) for one in was.devices if (one.address, one.public) not in kept}
    closed = {str(one.address) for one in was.devices if one.is_open and one.public} - {
        str(one.address) for one in now.devices if one.is_open and one.public
    }
    assert inside == stopped | closed


def test_what_nft_lists_reads_as_it_was_wanted_and_sets_of_others_are_named() -> None:
    wanted = replace(firewall(), egress=LEAVING)
    sets = tuple(egress.sets(LEAVING))
    listing = {"nftables": [*nft.items(ruleset(wanted), sets=sets), {"set": {**OWN, "name": "x", "type": "ipv4_addr"}}]}
    found = nft.observed(json.dumps(listing))
    assert found.sets == nft.described(ruleset(wanted), sets).sets
    assert found.others == {"set x": '"ipv4_addr"'}
    assert egress.described(found.sets, LEAVING) == {
        "alice/phone 10.1.0.130": "leaves, as 203.0.113.33, is behind 203.0.113.33",
        "bob/desk fd00:10:1::1001": "leaves, as 2001:db8::33, is behind 2001:db8::33, open at 2001:db8::33",
        "carol/pad 10.1.0.132": "leaves, as the host",
    }
    strange = egress.described(found.sets, Egress("br0", (ALICE, BOB)))
    assert strange["10.1.0.132"] == "leaves, as the host", "whose it is, is not known"


OWN = {"family": "inet", "table": "wgnode"}
