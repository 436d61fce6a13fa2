"""`wgmesh:rollout`: what it may say, and which site is then in which wave."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wgnode.rollout.policy import PROFILES, Limits, Policy, Share, problems
from wgnode.rollout.waves import waves

TEN = [f"site{number}" for number in range(10)]


def messages(raw: dict[str, Any], sites: list[str] = TEN) -> list[str]:
    return [f"{problem.path}: {problem.message}" for problem in problems(raw, sites)]


def cut(raw: dict[str, Any], changing: list[str] | None = None) -> list[list[int]]:
    """The waves, each site by its number."""
    assert messages(raw) == []
    found = waves(Policy.of(raw), TEN, TEN if changing is None else changing)
    return [[int(name.removeprefix("site")) for name in wave] for wave in found]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("count", [1, 2, 10, 1000])
def test_every_profile_fits_meshes_of_every_size(profile: str, count: int) -> None:
    sites = [f"s{number}" for number in range(count)]
    assert problems({"profile": profile}, sites) == []
    found = waves(Policy.of({"profile": profile}), sites, sites)
    assert sorted(name for wave in found for name in wave) == sorted(sites)
    assert (found[0] == ()) == (profile == "emergency")


def test_nothing_given_is_the_default_profile_and_what_is_given_goes_before_it() -> None:
    assert Policy.of({}) == Policy(1, (Share(percent=10), None), 4, Share(count=1), 300)
    given = {"profile": "fast", "parallel": 2, "soak": 5, "limits": {"loss": 3}, "onFailure": {"later": "undo"}}
    policy = Policy.of(given)
    assert (policy.parallel, policy.soak, policy.unavailable) == (2, 5, Share(percent=10))
    assert policy.limits == Limits(loss=3)
    assert (policy.canary_failure, policy.later_failure) == ("undo", "undo")


def test_waves_are_numbers_percentages_and_the_rest() -> None:
    assert cut({"canary": ["site3"], "waves": [2, "50%", "rest"]}) == [[3], [0, 1], [2, 4, 5, 6, 7], [8, 9]]
    assert cut({"canary": 1, "waves": ["33%", "33%", "34%"]}) == [[0], [1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert cut({"canary": 1, "waves": [4, 5]}) == [[0], [1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_sites_that_do_not_change_are_left_out_and_leave_no_empty_wave() -> None:
    assert cut({"canary": ["site3"], "waves": [2, 2, "rest"]}, ["site3", "site8"]) == [[3], [8]]


def test_where_the_canary_does_not_change_the_first_that_does_stands_in() -> None:
    assert cut({"canary": ["site3"], "waves": ["rest"]}, ["site5", "site8"]) == [[5], [8]]
    assert cut({"canary": 2, "waves": ["rest"]}, ["site5", "site8", "site9"]) == [[5, 8], [9]]


def test_a_site_that_never_ran_stands_in_last() -> None:
    found = waves(Policy.of({}), TEN, ["site1", "site2", "site3"], fresh=["site1"])
    assert found[0] == ("site2",)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=5), st.integers(1, 60), st.sets(st.integers(0, 59)))
def test_each_site_that_changes_is_in_exactly_one_wave(percents: list[int], count: int, touched: set[int]) -> None:
    sites = [f"site{number:02}" for number in range(count)]
    changing = [sites[number] for number in sorted(touched) if number < count]
    raw = {"canary": 1, "waves": [f"{percent}%" for percent in percents]}
    if problems(raw, sites):
        assert sum(percents) != 100
        return
    found = [name for wave in waves(Policy.of(raw), sites, changing) for name in wave]
    assert sorted(found) == sorted(changing)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"profile": "slow"}, "profile: there is no profile 'slow'; there are: default, fast, emergency"),
        ({"canary": []}, "canary: no canary: name a site"),
        ({"canary": 0}, "canary: no canary: name a site"),
        ({"canary": 11}, "canary: 11 sites, but the mesh has 10"),
        ({"canary": ["berlin"]}, "canary[0]: unknown site 'berlin'; the mesh's sites: site0, site1"),
        ({"canary": ["site1", "site1"]}, "canary[1]: site 'site1' stands there twice"),
        ({"maxUnavailable": "many"}, "maxUnavailable: 'many' is neither a number of sites nor a percentage"),
        ({"waves": []}, "waves: no wave"),
        ({"waves": ["rest", 2]}, "waves[0]: nothing is left behind `rest`"),
        (
            {"waves": ["a few"]},
            "waves[0]: 'a few' is neither a number of sites nor a percentage such as 10%, nor `rest`",
        ),
        ({"waves": [0, "rest"]}, "waves[0]: a wave of no sites"),
        (
            {"waves": ["10%", "50%"]},
            "waves: the waves don't add up: 60 % of the sites; end with `rest`, or make it 100 %",
        ),
        ({"waves": ["60%", "50%"]}, "waves: the waves don't add up: 110 %"),
        ({"waves": ["60%", "50%", "rest"]}, "waves: the waves don't add up: 110 %"),
        ({"waves": [2, 5]}, "waves: the waves don't add up: they take 7 sites of the 9 sites behind the canary"),
        ({"waves": [2, 9]}, "waves: the waves don't add up: they take 11 sites, more than the 9"),
        ({"waves": [5, "50%", "rest"]}, "waves: the waves don't add up: they take 10 sites, more than the 9"),
        ({"waves": [True]}, "waves[0]: True is neither"),
        ({"waves": ["101%"]}, "waves[0]: '101%' is neither"),
    ],
)
def test_what_can_not_be_meant_is_said(raw: dict[str, Any], said: str) -> None:
    assert [text for text in messages(raw) if text.startswith(said)], messages(raw)


def test_the_emergency_profile_alone_goes_without_a_canary() -> None:
    assert messages({"profile": "emergency", "canary": []}) == []
    assert messages({"profile": "fast", "canary": []}) != []
