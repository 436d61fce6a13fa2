"""How devices leave, by their groups: which addresses they have outside, and what is wrong with a site that says so."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wgnode.topology import egress, egress_problems
from wgnode.topology.compile import site_problems
from wgnode.topology.egress import MASQUERADE, NONE, POOL
from wgnode.topology.networks import parse
from wgnode.topology.user_problems import problems

from .meshes import topology_of, two_sites
from .test_users import SITE, facts

PUBLIC = ["203.0.113.33", "2001:db8:1::41"]


def leaving(path: str = "", value: Any = None) -> dict[str, Any]:
    """A site whose staff (alice) leaves by addresses of its own, with one thing changed."""
    site = copy.deepcopy(SITE)
    site["egressPool"] = {"v4": "203.0.113.32/29", "v6": "2001:db8:1::40/124"}
    site["groups"] = {"staff": {"reach": "all", "egress": "pool"}, "guests": {"reach": "all", "egress": "masquerade"}}
    site["groups"]["others"] = {"reach": "all"}
    devices = site["users"]["alice"]["devices"]
    devices["phone"]["egressAddresses"], devices["laptop"]["egressAddresses"] = PUBLIC, ["203.0.113.34"]
    site["users"]["bob"]["groups"] = ["guests", "others"]
    if path:
        *steps, last = path.split(".")
        inner: Any = site
        for step in steps:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return site


def test_who_leaves_is_who_may_connect_and_whose_group_says_so() -> None:
    assert list(problems(leaving())) == []
    told = egress.leaving(facts(leaving()).users)
    assert told == {
        "devices": {
            "alice/phone": {"addresses": ["10.1.0.130", "fd00:10:1::1001"], "public": PUBLIC, "open": False},
            "bob/desk": {"addresses": ["10.1.0.132"], "public": [], "open": False},
        },
        "public": PUBLIC,
        "routed": False,
    }
    assert egress.leaving(facts(leaving("users.alice.disabled", True)).users) == {
        "devices": {"bob/desk": {"addresses": ["10.1.0.132"], "public": [], "open": False}},
        "public": [],
        "routed": False,
    }
    assert egress.leaving(facts().users) is None


@given(st.lists(st.sampled_from([*egress.KINDS, None]), max_size=4))
def test_of_several_groups_the_one_counts_that_tells_most_of_who_it_was(kinds: list[Any]) -> None:
    groups = {str(number): {"reach": "all", "egress": kind} for number, kind in enumerate(kinds)}
    wanted = POOL if POOL in kinds else MASQUERADE if MASQUERADE in kinds else NONE
    assert egress.of_member(groups, groups) == wanted


def test_others_may_begin_where_a_group_names_networks_or_the_internet() -> None:
    rules = {
        "all": "all",
        "lan": [{"sites": ["berlin"]}],
        "net": [{"networks": ["0.0.0.0/0"]}],
        "x": [{"internet": True}],
    }
    groups = {name: {"reachableFrom": rule} for name, rule in rules.items()}
    assert {name: egress.is_open([name], groups) for name in groups} == {
        "all": False,
        "lan": False,
        "net": True,
        "x": True,
    }


@pytest.mark.parametrize(
    ("path", "value", "at", "says"),
    [
        ("egressPool", None, ".egressPool", "is missing: group 'staff' says `egress: pool`; give the public addresses"),
        ("egressPool", {"v4": None}, ".egressPool", "no network: give v4"),
        ("egressPool.v4", "203.0.113.33/29", ".egressPool.v4", "did you mean 203.0.113.32/29"),
        ("egressPool.v4", "2001:db8::/64", ".egressPool.v4", "is IPv6, IPv4 is wanted here"),
        ("egressPool.v4", "10.1.0.160/28", ".egressPool.v4", "overlaps pool 10.1.0.128/26"),
        ("egressPool.v4", "172.31.255.0/24", ".egressPool.v4", "overlaps the transit network 172.31.255.252/30"),
        ("egressPool.v4", "203.0.113.32/31", ".egressPool.v4", ""),
        ("egressPool.v4", "203.0.113.33/32", ".egressPool.v4", "has 1 addresses for devices, and 2 need one"),
        ("egressPool.released", {"203.0.113": "2026-01-01"}, ".egressPool.released.203.0.113", "is no address"),
        (
            "users.alice.devices.phone.egressAddresses",
            ["203.0.113.33"],
            ".users.alice.devices.phone.egressAddresses",
            "device alice/phone has none of 2001:db8:1::40/124, which group 'staff' asks for (`egress: pool`);"
            " `wgnode user add alice --device phone` gives it one",
        ),
        (
            "users.alice.devices.laptop.egressAddresses",
            ["203.0.113.33"],
            ".users.alice.devices.laptop.egressAddresses[0]",
            "203.0.113.33 is device alice/phone's already",
        ),
        (
            "users.alice.devices.laptop.egressAddresses",
            ["203.0.113.50"],
            ".users.alice.devices.laptop.egressAddresses[0]",
            "203.0.113.50 is outside of egressPool (203.0.113.32/29, 2001:db8:1::40/124)",
        ),
        (
            "users.alice.devices.laptop.egressAddresses",
            ["203.0.113.34", "203.0.113.35"],
            ".users.alice.devices.laptop.egressAddresses[1]",
            "two addresses of IPv4 outside",
        ),
        ("host.address", "203.0.113.34", ".users.alice.devices.laptop.egressAddresses[0]", "is the host's already"),
    ],
)
def test_what_is_wrong_is_told_at_its_path(path: str, value: Any, at: str, says: str) -> None:
    found = {problem.path: problem.message for problem in problems(leaving(path, value))}
    assert (says in found.get(at, "")) if says else at not in found, found


def test_a_group_that_does_not_ask_for_it_needs_no_pool_and_an_address_from_before_stays_the_device_s() -> None:
    site = leaving("groups.staff.egress", "masquerade")
    assert list(problems(site)) == []
    del site["users"]["alice"]["devices"]["phone"]["egressAddresses"]
    assert list(problems(site)) == []
    (told,) = [one for one in facts(site).users.devices if one.label == "alice/laptop"]
    assert (told.egress, told.public) == (MASQUERADE, ("203.0.113.34",))


def test_addresses_of_outside_are_nobody_s_in_the_mesh() -> None:
    topology = topology_of(two_sites())
    assert site_problems(topology, "berlin", facts(leaving())) == []
    (said,) = site_problems(topology, "berlin", facts(leaving("egressPool.v4", "10.2.0.64/28")))
    assert "egressPool 10.2.0.64/28 overlaps site 'cabin': lan 10.2.0.0/24" in said


@pytest.mark.parametrize(
    ("network", "routed", "count"),
    [
        ("203.0.113.32/28", False, 14),
        ("203.0.113.32/28", True, 16),
        ("203.0.113.32/31", False, 2),
        ("2001:db8::/120", False, 255),
    ],
)
def test_the_ends_of_a_network_may_be_the_uplink_s_unless_it_is_routed(network: str, routed: bool, count: int) -> None:
    assert egress_problems.usable(parse(network), routed) == count
