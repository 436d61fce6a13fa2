"""Exhaustive tests are sampled by a seed that is told, changes by commit and can be given again."""

from __future__ import annotations

import subprocess

import pytest

from tests import sample
from tools import ROOT

pytest_plugins = ["pytester"]

SERIES = "import pytest\n@pytest.mark.sampled(2)\n@pytest.mark.parametrize('n', range(9))\ndef test_x(n): pass\n"


def tried(pytester: pytest.Pytester, *more: str) -> list[str]:
    """Parameters that a run of SERIES tries, and its seed's line last."""
    pytester.makepyfile(test_it=SERIES + "def test_y(): pass")
    pytester.makeini("[pytest]\nmarkers = sampled(n)")
    options = ("-p", "no:hypothesispytest", "-p", "no:cacheprovider", "-v", *more)
    result = pytester.runpytest_inprocess(*options, plugins=[sample.Sampled()])
    assert result.ret == 0
    assert more or "::test_y PASSED" in result.stdout.str(), "what is not marked is left alone"
    parameters = [line.partition("[")[2].partition("]")[0] for line in result.outlines if "::test_x[" in line]
    return [*parameters, next(line for line in result.outlines if line.startswith("sample of"))]


def test_a_seed_draws_the_same_again_and_another_one_others(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {}
    for seed in "abcdef":
        monkeypatch.setenv(sample.VARIABLE, seed)
        *drawn[seed], said = tried(pytester)
        assert (len(drawn[seed]), f"WGNODE_SAMPLE={seed};" in said) == (2, True)
        assert tried(pytester)[:-1] == drawn[seed]
    assert len({tuple(each) for each in drawn.values()}) > 2


def test_all_leaves_nothing_out(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sample.VARIABLE, sample.ALL)
    *drawn, said = tried(pytester)
    assert drawn == [str(number) for number in range(9)]
    assert "nothing left out" in said


TOGETHER = "\n".join(
    f"@pytest.mark.sampled(2, of={of!r})\ndef test_{of}{number}(): pass" for of in ("a", "b") for number in range(5)
)


@pytest.mark.parametrize(("seed", "of_each"), [("a", 2), ("b", 2), (sample.ALL, 5)])
def test_of_tests_of_one_name_as_many_are_tried(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, seed: str, of_each: int
) -> None:
    monkeypatch.setenv(sample.VARIABLE, seed)
    pytester.makepyfile(test_it="import pytest\n" + TOGETHER)
    pytester.makeini("[pytest]\nmarkers = sampled(n)")
    options = ("-p", "no:hypothesispytest", "-p", "no:cacheprovider", "-v")
    result = pytester.runpytest_inprocess(*options, plugins=[sample.Sampled()])
    tests = [line for line in result.outlines if " PASSED" in line]
    assert [sum(f"::test_{of}" in each for each in tests) for of in ("a", "b")] == [of_each, of_each]


def in_turn(kind: str) -> str:
    return f"import pytest\npytestmark = pytest.mark.in_turn({kind!r})\ndef test_a(): pass\n" + SERIES


@pytest.mark.parametrize(
    ("seed", "files", "of_each"),
    [
        ("a", sample.FILES_IN_TURN, 3),
        ("b", sample.FILES_IN_TURN, 3),
        (sample.ALL, dict.fromkeys(sample.FILES_IN_TURN, 5), 10),
    ],
)
def test_of_files_in_turn_some_are_tried_and_of_these_what_their_other_marks_say(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, seed: str, files: dict[str, int], of_each: int
) -> None:
    monkeypatch.setenv(sample.VARIABLE, seed)
    texts = {f"test_{kind}_{number}": in_turn(kind) for kind in files for number in range(5)}
    pytester.makepyfile(**texts, test_other="def test_x(): pass")
    pytester.makeini("[pytest]\nmarkers =\n    sampled(n)\n    in_turn(kind)")
    options = ("-p", "no:hypothesispytest", "-p", "no:cacheprovider", "-v")
    result = pytester.runpytest_inprocess(*options, plugins=[sample.Sampled()])
    passed = [line.partition("::")[0] for line in result.outlines if " PASSED" in line]
    assert sorted({passed.count(each) for each in set(passed)}) == [1, of_each], "one of the other file"
    assert {kind: sum(f"test_{kind}_" in each for each in set(passed)) for kind in files} == files


def test_one_that_is_asked_for_by_name_is_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sample.VARIABLE, "a")
    assert [tried(pytester, f"test_it.py::test_x[{number}]")[0] for number in range(9)] == [str(n) for n in range(9)]


def test_the_seed_is_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(sample.VARIABLE)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    assert commit.startswith(sample.seed()) if commit else sample.seed() == "no commit"


def test_samples_of_other_purposes_differ_and_keep_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sample.VARIABLE, "a")
    one, other = (sample.choose(range(100), 10, purpose) for purpose in ("one", "other"))
    assert one == sorted(one) != other == sorted(other)
    assert sample.choose(range(3), 3, "one") == [0, 1, 2]
    monkeypatch.setenv(sample.VARIABLE, sample.ALL)
    assert sample.choose(range(100), 10, "one") == list(range(100))
