"""Indices by name: kept for ever, whoever comes and goes."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wgnode.topology.allocate import addresses, allocate, capacity

NAMES = st.sets(st.sampled_from([f"s{n}" for n in range(12)]), max_size=8)


def test_first_sites_are_numbered_from_one_by_name() -> None:
    assert allocate({}, ["cabin", "berlin"], 254) == {"berlin": 1, "cabin": 2}


def test_a_name_keeps_its_index_while_others_come_and_go() -> None:
    first = allocate({}, ["berlin", "cabin", "farm"], 254)
    without = allocate(first, ["berlin", "farm"], 254)
    assert without["farm"] == 3
    assert allocate(without, ["aachen", "berlin", "farm"], 254)["aachen"] == 4


def test_a_site_that_comes_back_is_where_it_was() -> None:
    gone = allocate({"berlin": 1, "cabin": 2}, ["berlin"], 254)
    assert allocate(gone, ["aachen", "berlin", "cabin"], 254) == {"berlin": 1, "cabin": 2, "aachen": 3}


def test_a_full_tunnel_gives_a_newcomer_the_lowest_index_that_was_left() -> None:
    left = {"a": 1, "b": 2, "c": 3, "d": 4}
    assert allocate(left, ["a", "d", "new"], 5)["new"] == 5
    assert allocate(left, ["a", "d", "new"], 4) == {"a": 1, "d": 4, "new": 2, "c": 3}


def test_only_what_no_longer_fits_a_smaller_tunnel_moves() -> None:
    assert allocate({"a": 1, "b": 9, "c": 3}, ["a", "b", "c"], 6) == {"a": 1, "c": 3, "b": 2}


def test_more_sites_than_addresses_are_refused() -> None:
    assert len(allocate({}, ["a", "b"], 2)) == 2
    with pytest.raises(ValueError, match="3 sites, but the tunnel has addresses for 2"):
        allocate({}, ["a", "b", "c"], 2)


@given(st.lists(NAMES, max_size=8), st.integers(8, 20))
def test_no_history_moves_anybody_or_gives_an_index_twice(history: list[set[str]], room: int) -> None:
    indices: dict[str, int] = {}
    before: set[str] = set()
    for names in history:
        after = allocate(indices, names, room)
        assert all(after[name] == indices[name] for name in names & before)
        assert names <= set(after)
        assert len(set(after.values())) == len(after)
        assert all(1 <= index <= room for index in after.values())
        indices, before = after, names


@pytest.mark.parametrize(
    ("prefix", "room"), [("10.99.0.0/24", 254), ("10.99.0.0/30", 2), ("10.99.0.0/31", 0), ("10.99.0.0/32", 0)]
)
def test_capacity_leaves_out_network_and_broadcast(prefix: str, room: int) -> None:
    network = ip_network(prefix)
    assert capacity(network) == room
    if room:
        assert addresses([network], 1) == ("10.99.0.1",)


def test_an_ipv6_tunnel_gives_out_its_last_address() -> None:
    network = ip_network("fd00:99::/126")
    assert capacity(network) == 3
    assert addresses([network], 3) == ("fd00:99::3",)
