"""What is wrong with a mesh, all at once: each problem with its path and the way out."""

from __future__ import annotations

from ipaddress import ip_network
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wgnode import recipient
from wgnode.topology import networks
from wgnode.topology.networks import Claim
from wgnode.topology.validate import Problem, mesh_problems, split_endpoint

from .meshes import PRIVATE, site, two_sites

WHERE = "stacks/Pulumi.dev-mesh.yaml"


def problems(raw: dict[str, Any]) -> list[Problem]:
    return mesh_problems(raw, WHERE)


def changed(path: str, value: Any) -> dict[str, Any]:
    """two_sites() with one value changed: "sites.cabin.lans"."""
    raw: Any = two_sites()
    *steps, last = path.split(".")
    inner = raw
    for step in steps:
        inner = inner[step]
    inner[last] = value
    assert isinstance(raw, dict)
    return raw


def test_a_good_mesh_has_no_problems() -> None:
    assert problems(two_sites()) == []


def test_overlapping_lans_are_named_with_both_sites_and_the_file() -> None:
    raw = changed("sites.berlin.lans", ["10.1.0.0/16"])
    raw["sites"]["cabin"]["lans"] = ["10.2.0.0/24", "10.1.0.0/24"]
    assert problems(raw) == [
        Problem(
            "sites.cabin.lans[1]",
            "site 'cabin': lan 10.1.0.0/24 overlaps site 'berlin' 10.1.0.0/16; change one of them in"
            " stacks/Pulumi.dev-mesh.yaml",
        )
    ]


@pytest.mark.parametrize(
    ("path", "value", "at", "says"),
    [
        ("tunnel.v4", "10.1.0.0/16", "sites.berlin.lans[0]", "site 'berlin': lan 10.1.0.0/24 overlaps tunnel prefix"),
        ("sites.berlin.lans", ["10.1.0.0/24", "10.1.0.0/25"], "sites.berlin.lans[1]", "overlaps its own 10.1.0.0/24"),
        ("tunnel", {}, "tunnel", "give v4"),
        ("tunnel.v4", "10.99.0.0/31", "tunnel.v4", "has addresses for 0 sites, 2 are configured; use /30 or shorter"),
        ("tunnel.v6", "fd00:99::/127", "tunnel.v6", "has addresses for 1 sites, 2 are configured; use /126 or shorter"),
        ("tunnel.v4", "fd00:99::/64", "tunnel.v4", "is IPv6, IPv4 is wanted here"),
        ("tunnel.v4", "10.99.0.1/24", "tunnel.v4", "did you mean 10.99.0.0/24?"),
        ("tunnel.v4", "mesh", "tunnel.v4", "'mesh' is not a network; write it like 10.1.0.0/24"),
        ("name", "Dev", "name", "mesh name 'Dev': use a lower-case letter"),
        ("sites.cabin.lans", [], "sites.cabin.lans", "site 'cabin' has no lan"),
        ("sites.cabin.lans", ["10.2.0.9"], "sites.cabin.lans[0]", "write it like 10.2.0.9/24"),
        ("sites.cabin.lans", ["0.0.0.0/0"], "sites.cabin.lans[0]", "name the networks of this site"),
        ("sites.cabin.lans", ["fe80::/64"], "sites.cabin.lans[0]", "link-local"),
        ("sites.cabin.lans", ["fd00:2::%eth0/64"], "sites.cabin.lans[0]", "has a zone, which means"),
        ("sites.cabin.lans", ["fe80::1%eth0/64"], "sites.cabin.lans[0]", "leave %eth0 out"),
        ("sites.cabin.lans", ["::ffff:10.2.0.0/120"], "sites.cabin.lans[0]", "notation; write 10.2.0.0/24"),
        ("tunnel.v6", "fd00:99::%2/64", "tunnel.v6", "has a zone"),
        ("sites.cabin.endpoint", "[2001:db8::1%eth0]:51820", "sites.cabin.endpoint", "has a zone"),
        ("sites.cabin.lans", ["224.0.0.0/8"], "sites.cabin.lans[0]", "multicast"),
        ("sites.berlin.endpoint", "198.51.100.2", "sites.berlin.endpoint", "has no port"),
        ("sites.berlin.endpoint", "198.51.100.2:70000", "sites.berlin.endpoint", "has no port"),
        ("sites.berlin.endpoint", "2001:db8::1:51820", "sites.berlin.endpoint", "write [2001:db8::1]:51820"),
        ("sites.berlin.endpoint", "[192.0.2.1]:1", "sites.berlin.endpoint", "no brackets"),
        ("sites.berlin.endpoint", "ber lin:51820", "sites.berlin.endpoint", "neither an address nor a host name"),
        ("sites.berlin.endpoint", "127.0.0.1:51820", "sites.berlin.endpoint", "can't be reached"),
        ("sites.berlin.endpoint", "10.2.0.7:51820", "sites.berlin.endpoint", "lies in site 'cabin' lan 10.2.0.0/24"),
        ("sites.cabin.endpoint", "198.51.100.2:51820", "sites.cabin.endpoint", "already belongs to site 'berlin'"),
        ("sites.cabin.recipient", "", "sites.cabin.recipient", "is empty; `wgnode site new` makes it"),
        ("sites.cabin.recipient", "abc", "sites.cabin.recipient", "not a public recipient key"),
        ("sites.Cabin", site("10.3.0.0/24", endpoint="h:1"), "sites.Cabin", "site name 'Cabin'"),
        ("sites.sixteen-letters-", site("10.3.0.0/24", endpoint="h:1"), "sites.sixteen-letters-", "up to 14"),
        ("sites.all", site("10.3.0.0/24", endpoint="h:1"), "sites.all", "a word that `wg show` takes"),
    ],
)
def test_each_bad_value_gives_one_problem_at_its_path(path: str, value: Any, at: str, says: str) -> None:
    (found,) = problems(changed(path, value))
    assert found.path == at
    assert says in found.message


def test_two_sites_that_nobody_can_call_are_named_with_the_way_out() -> None:
    (found,) = problems(changed("sites.berlin.endpoint", None))
    assert found.path == "sites"
    assert "sites 'berlin' and 'cabin' have no public endpoint" in found.message
    assert "give all but one of them an `endpoint` in stacks/Pulumi.dev-mesh.yaml" in found.message


def test_a_private_recipient_key_is_refused_and_not_shown() -> None:
    (found,) = problems(changed("sites.cabin.recipient", PRIVATE))
    assert "private recipient key" in found.message
    assert PRIVATE.removeprefix(recipient.PRIVATE_PREFIX) not in found.message


def test_all_problems_come_at_once() -> None:
    raw = changed("name", "Dev")
    raw["tunnel"]["v4"] = "10.99.0.1/24"
    raw["sites"]["cabin"]["lans"] = ["10.1.0.128/25", "x"]
    assert [found.path for found in problems(raw)] == [
        "name",
        "tunnel.v4",
        "sites.cabin.lans[1]",
        "sites.cabin.lans[0]",
    ]


def test_what_is_absent_or_of_another_type_is_left_to_the_check_of_the_shape() -> None:
    assert problems({}) == []
    assert problems({"name": 3, "tunnel": [], "sites": {"a": None, "b": {"lans": 3, "endpoint": 4}}}) == []


def test_a_thousand_sites_are_checked_without_comparing_all_pairs() -> None:
    raw = {"name": "big", "tunnel": {"v4": "10.255.0.0/16"}, "sites": {}}
    raw["sites"] = {
        f"s{n}": site(f"10.{n >> 8}.{n & 255}.0/24", endpoint=f"198.51.{n >> 8}.{n & 255}:1") for n in range(1000)
    }
    assert problems(raw) == []


def test_endpoints_are_split() -> None:
    assert split_endpoint("198.51.100.2:51820") == ("198.51.100.2", 51820)
    assert split_endpoint("[2001:db8::1]:1") == ("2001:db8::1", 1)
    assert split_endpoint("gate.example:65535") == ("gate.example", 65535)


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(26, 32)), max_size=8))
def test_overlaps_are_found_exactly_where_a_comparison_of_all_pairs_finds_some(drawn: list[tuple[int, int]]) -> None:
    claims = [
        Claim(ip_network(f"10.0.0.{last}/{length}", strict=False), str(n), "", "")
        for n, (last, length) in enumerate(drawn)
    ]
    found = {claim.path for pair in networks.overlaps(claims) for claim in pair}
    expected = {c.path for pair in combinations(claims, 2) if pair[0].network.overlaps(pair[1].network) for c in pair}
    assert found == expected
