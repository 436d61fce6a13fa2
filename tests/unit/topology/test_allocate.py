"""Allocations: given once, kept while their site is away, moved by a rename alone, ended by `forget` alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.topology.meshes import allocation_of
from wgnode.topology import history, identity, validate
from wgnode.topology.allocate import Allocation, allocate
from wgnode.topology.model import MeshSpec, SiteSpec, TopologyError
from wgnode.topology.networks import addresses, capacity
from wgnode.topology.validate import Problem

NAMES = st.sets(st.sampled_from([f"s{n}" for n in range(12)]), max_size=8)
_numbers = count()


def counting(length: int) -> bytes:
    """Never the same twice."""
    return next(_numbers).to_bytes(length, "big")


def spec(names: Iterable[str] | Mapping[str, str | None], room: int = 254, **more: Any) -> MeshSpec:
    """With a mapping: by name what it is renamed from. `room` must be that of an IPv4 prefix, or one for IPv6."""
    sources = names if isinstance(names, Mapping) else dict.fromkeys(names)
    sites = {name: SiteSpec((), "", renamed_from=source) for name, source in sources.items()}
    length = 32 - (room + 2).bit_length() + 1
    return MeshSpec("dev", (ip_network(f"10.99.0.0/{length}"),), sites, **more)


def old(**indices: int) -> dict[str, Allocation]:
    return {name: allocation_of(name, index) for name, index in indices.items()}


def indices(allocations: Mapping[str, Allocation]) -> dict[str, int]:
    return {name: one.index for name, one in allocations.items()}


def test_first_sites_are_numbered_from_one_by_name_and_get_an_id_and_a_mac_each() -> None:
    made = allocate(spec(["cabin", "berlin"]), {}, counting)
    assert indices(made) == {"berlin": 1, "cabin": 2}
    berlin, cabin = made["berlin"], made["cabin"]
    assert identity.ID.fullmatch(berlin.id)
    assert berlin.id != cabin.id
    assert berlin.lan_mac == identity.lan_mac(berlin.id) != cabin.lan_mac
    assert berlin.lan_mac.startswith("52:54:00:")


def test_an_id_or_mac_that_is_taken_is_drawn_again() -> None:
    draws = iter([bytes(8), bytes(8), b"\1" * 8])
    made = allocate(spec(["berlin", "cabin"]), {}, lambda _: next(draws))
    assert [made[name].id for name in ("berlin", "cabin")] == ["00" * 8, "01" * 8]


def test_a_name_keeps_what_it_has_while_others_come_and_go() -> None:
    first = allocate(spec(["berlin", "cabin", "farm"]), {}, counting)
    without = allocate(spec(["berlin", "farm"]), first, counting)
    assert without == first
    grown = allocate(spec(["aachen", "berlin", "farm"]), without, counting)
    assert grown["aachen"].index == 4
    assert {name: grown[name] for name in first} == first


def test_what_rests_keeps_its_index_though_the_tunnel_is_full_and_the_error_names_it_and_the_way_out() -> None:
    full = old(a=1, b=2)
    with pytest.raises(
        TopologyError, match=r"no address is free for new: .* for 2 sites.*: b \(index 2\).*forget"
    ) as e:
        allocate(spec(["a", "new"], room=2), full, counting)
    assert "a (index 1)" not in str(e.value)
    assert indices(allocate(spec(["a", "new"], room=2, forget=("b",)), full, counting)) == {"a": 1, "new": 2}


def test_only_what_no_longer_fits_a_smaller_tunnel_moves_and_only_while_it_is_there() -> None:
    before = old(a=1, b=9, c=3, d=12)
    after = allocate(spec(["a", "b", "c"], room=6), before, counting)
    assert indices(after) == {"a": 1, "b": 2, "c": 3, "d": 12}
    assert {name: one.id for name, one in after.items()} == {name: one.id for name, one in before.items()}
    assert indices(allocate(spec(["a", "b", "c", "d"], room=6), after, counting))["d"] == 4


def test_a_forgotten_site_is_gone_for_good() -> None:
    before = old(a=1, b=2)
    assert set(allocate(spec(["a"], forget=("b",)), before, counting)) == {"a"}
    back = allocate(spec(["a", "b"]), allocate(spec(["a"], forget=("b",)), before, counting), counting)
    assert back["b"].id != before["b"].id


def test_a_rename_moves_everything_and_is_done_once() -> None:
    before = old(berlin=1, depot=2)
    once = allocate(spec({"berlin": None, "lager": "depot"}), before, counting)
    assert set(once) == {"berlin", "lager"}
    assert (once["lager"].id, once["lager"].index) == (before["depot"].id, 2)
    assert allocate(spec({"berlin": None, "lager": "depot"}), once, counting) == once
    assert allocate(spec({"berlin": None, "lager": None}), once, counting)["lager"].id == before["depot"].id


def test_names_are_swapped_once_however_often_it_is_said() -> None:
    before = old(a=1, b=2)
    once = allocate(spec({"a": "b", "b": "a"}), before, counting)
    assert indices(once) == {"a": 2, "b": 1}
    assert allocate(spec({"a": "b", "b": "a"}), once, counting) == once


def test_a_chain_of_renames_moves_each_by_one_and_a_done_one_can_be_followed_by_the_next() -> None:
    before = old(a=1, b=2)
    assert indices(allocate(spec({"b": "a", "c": "b"}), before, counting)) == {"b": 1, "c": 2}
    first = allocate(spec({"a": None, "c": "b"}), before, counting)
    assert indices(allocate(spec({"a": None, "d": "c"}), first, counting)) == {"a": 1, "d": 2}


def test_a_site_that_rests_comes_back_under_another_name() -> None:
    before = old(berlin=1, depot=2)
    resting = allocate(spec(["berlin"]), before, counting)
    assert allocate(spec({"berlin": None, "lager": "depot"}), resting, counting)["lager"].id == before["depot"].id


@given(st.lists(NAMES, max_size=8))
def test_no_history_moves_anybody_or_gives_anything_twice(history: list[set[str]]) -> None:
    known: dict[str, Allocation] = {}
    for names in history:
        after = allocate(spec(names, room=14), known, counting)
        assert {name: after[name] for name in known} == known
        assert names <= set(after)
        for values in (indices(after).values(), {one.id for one in after.values()}):
            assert len(set(values)) == len(after)
        assert all(1 <= index <= 14 for index in indices(after).values())
        known = after


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


LETTERS = "abcde"
SPECS = st.builds(
    lambda names, sources, forget: spec(dict(zip(names, sources, strict=False)), 14, forget=tuple(forget)),
    st.lists(st.sampled_from(LETTERS), unique=True, max_size=4),
    st.lists(st.none() | st.sampled_from(LETTERS), min_size=4, max_size=4),
    st.sets(st.sampled_from(LETTERS), max_size=1),
)


def judged(wanted: MeshSpec, known: Mapping[str, Allocation], forgotten: frozenset[str]) -> list[Problem]:
    raw = {name: {"renamedFrom": site.renamed_from} for name, site in wanted.sites.items()}
    by_file = [*validate._rename_problems(raw), *validate._forget_problems(list(wanted.forget), raw)]
    names = {name: one.renamed_from for name, one in known.items()}
    return [*by_file, *history.problems(wanted, names, {}, forgotten)]


@settings(max_examples=400)
@given(st.lists(SPECS, max_size=8))
def test_whatever_is_accepted_loses_nobody_but_the_forgotten_and_is_done_once(specs: list[MeshSpec]) -> None:
    known: dict[str, Allocation] = {}
    forgotten: frozenset[str] = frozenset()
    for wanted in specs:
        if judged(wanted, known, forgotten):
            continue
        after = allocate(wanted, known, counting)
        given_up = {known[name].id for name in wanted.forget if name in known}
        was = {one.id: (one.index, one.lan_mac) for one in known.values()}
        now = {one.id: (one.index, one.lan_mac) for one in after.values()}
        assert {id: facts for id, facts in was.items() if id not in given_up}.items() <= now.items()
        assert len(now) == len(after)
        assert set(wanted.sites) <= set(after)
        sources = {site.renamed_from for site in wanted.sites.values()}
        for name in known.keys() & after.keys() - sources:
            if not (name in wanted.sites and wanted.sites[name].renamed_from):
                assert after[name].id == known[name].id, "who is not renamed keeps its id"
        known, forgotten = after, frozenset(wanted.forget)
        assert judged(wanted, known, forgotten) == [], "what was accepted stays valid"
        assert allocate(wanted, known, counting) == known
