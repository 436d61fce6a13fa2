"""Renames and `forget`, judged: what can't be meant is refused by name, what was done stays valid while it stands."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.topology.meshes import site, two_sites
from wgnode.topology import history, labels
from wgnode.topology.model import MeshSpec
from wgnode.topology.validate import mesh_problems


def renamed(*sites: tuple[str, str | None], **more: Any) -> dict[str, Any]:
    raw = {**two_sites(), "sites": {}, **more}
    for number, (name, source) in enumerate(sites):
        entry = site(f"10.{number}.0.0/24", endpoint=f"198.51.100.{number}:51820")
        raw["sites"][name] = entry | ({"renamedFrom": source} if source else {})
    return raw


def in_file(raw: dict[str, Any]) -> list[tuple[str, str]]:
    return [(problem.path, problem.message) for problem in mesh_problems(raw)]


def by_state(raw: dict[str, Any], known: dict[str, str | None], forgotten: frozenset[str] = frozenset()) -> list[str]:
    assert in_file(raw) == [], "that is another test"
    return [f"{p.path}: {p.message}" for p in history.problems(MeshSpec.from_dict(raw), known, {}, forgotten)]


@pytest.mark.parametrize(
    ("sites", "path", "said"),
    [
        ([("a", "a")], "sites.a.renamedFrom", "renamed from itself"),
        ([("a", "x"), ("b", "x")], "sites.b.renamedFrom", "'x' can't become both 'a' and 'b'"),
        ([("depot", None), ("lager", "depot")], "sites.lager.renamedFrom", "site 'depot' is still there"),
    ],
)
def test_the_file_alone_can_be_wrong(sites: list[tuple[str, str | None]], path: str, said: str) -> None:
    ((where, message),) = in_file(renamed(*sites))
    assert where == path
    assert said in message


@pytest.mark.parametrize(
    "sites", [[("a", "b"), ("b", "a")], [("a", "x"), ("b", "a")], [("a", "b"), ("b", "c"), ("c", "a")]]
)
def test_a_name_that_is_given_on_can_be_taken(sites: list[tuple[str, str | None]]) -> None:
    assert in_file(renamed(*sites)) == []


def test_what_is_there_or_renamed_can_not_be_forgotten() -> None:
    (first, second) = in_file(renamed(("a", None), ("b", "x"), forget=["y", "a", "x"]))
    assert first == ("forget[1]", "site 'a' is under `sites`, so it can't be forgotten; take it out of one of both")
    assert second[0] == "forget[2]"
    assert "'x' is renamed to 'b'" in second[1]


KNOWN: dict[str, str | None] = {"berlin": None, "depot": None}


def test_a_rename_of_what_is_or_rests_there_is_fine_and_stays_so() -> None:
    raw = renamed(("berlin", None), ("lager", "depot"))
    assert by_state(raw, KNOWN) == []
    assert by_state(raw, {"berlin": None, "lager": "depot"}) == []


@pytest.mark.parametrize(
    ("sites", "known", "said"),
    [
        ([("lager", "depto")], KNOWN, "no site 'depto' to rename to 'lager'; known are: berlin, depot"),
        ([("lager", "depot")], {}, "no site 'depot' to rename to 'lager'; known are: none"),
        ([("lager", "depot")], {"lager": None}, "and 'lager' is there already: take `renamedFrom` out"),
        ([("store", "depot")], {"lager": "depot"}, "was renamed to 'lager' already; write `renamedFrom: lager`"),
        ([("berlin", "depot")], KNOWN, "'berlin' has an id and an address of its own"),
        ([("lager", "depot"), ("store", "lager")], {"lager": "depot"}, "sites.lager.renamedFrom"),
    ],
)
def test_a_rename_that_does_not_fit_what_there_was_is_named(
    sites: list[tuple[str, str | None]], known: dict[str, str | None], said: str
) -> None:
    (message,) = by_state(renamed(*sites), known)
    assert said in message


def test_only_what_was_known_can_be_forgotten_and_is_so_while_it_stands_in_the_list() -> None:
    raw = renamed(("berlin", None), forget=["depot"])
    assert by_state(raw, KNOWN) == []
    assert by_state(raw, {"berlin": None}, frozenset({"depot"})) == []
    (message,) = by_state(raw, {"berlin": None})
    assert message == "forget: there is no site 'depot' to forget; known are: berlin"


@pytest.mark.parametrize(
    ("here", "wanted", "first"),
    [
        ("old", "accept", None),
        ("old", "use", "accept"),
        ("old", "drop", "accept"),
        ("accept", "use", None),
        ("accept", "drop", "use"),
        ("use", "drop", None),
        ("use", "accept", None),
        ("drop", "accept", None),
        ("accept", None, None),
    ],
)
def test_no_step_of_the_pre_shared_keys_is_skipped(here: str, wanted: Any, first: str | None) -> None:
    steps = {"berlin": {"old": labels.OLD, **labels.STEPS}[here], "gone": labels.OLD}
    spec = MeshSpec.from_dict(renamed(("berlin", None), presharedKeys=wanted))
    found = list(history.problems(spec, {"berlin": None}, steps, frozenset()))
    assert [problem.path for problem in found] == ["presharedKeys"] * (first is not None)
    assert not first or f"{wanted!r} comes after {first!r} for berlin" in found[0].message


def test_without_a_step_nobody_moves_on_and_nobody_comes_back_from_the_last() -> None:
    assert labels.at(labels.OLD, None) == (1, 2)
    assert [labels.at(step, None) for step in labels.STEPS.values()] == [(1, 2), (2, 1), (2,)]
    assert labels.at((1, 2), "use") == (2, 1)
    assert labels.at((2, 1), "accept") == (1, 2)
    assert labels.at((2,), "accept") == (2,)
