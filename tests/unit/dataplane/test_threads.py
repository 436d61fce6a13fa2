"""How many threads move packets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wgnode.dataplane import threads
from wgnode.dataplane.choose import AUTO, FAST, PYTHON, Unavailable, choose


@pytest.mark.parametrize(
    ("processors", "quota", "expected"),
    [(1, None, 1), (2, None, 1), (3, None, 2), (64, None, 2), (8, 2.99, 1), (8, 3.0, 2), (8, 0.1, 1), (1, 8.0, 1)],
)
def test_one_whole_processor_is_left_and_no_more_threads_than_help(
    processors: int, quota: float | None, expected: int
) -> None:
    assert threads.helpful(processors, quota) == expected


@pytest.mark.parametrize("text", ["0", "-1", "65", "two", "", "1.5", "٣", " 2", "+2", "2_0"])
def test_nothing_but_auto_and_1_to_64_is_a_number_of_threads(text: str) -> None:
    with pytest.raises(ValueError, match="threads: give auto, or a number from 1 to 64"):
        threads.parse(text)
    assert [threads.parse(each) for each in ("auto", "1", "64")] == [None, 1, 64]


def groups(tmp_path: Path, limits: dict[str, str], membership: str = "0::/a/b\n") -> float | None:
    (tmp_path / "membership").write_text(membership)
    for group, limit in limits.items():
        (tmp_path / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / group / "cpu.max").write_text(limit)
    return threads.quota(tmp_path / "membership", tmp_path)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, None),
        ({"a/b": "max 100000\n"}, None),
        ({"a/b": "150000 100000\n"}, 1.5),
        ({"a/b": "max 100000\n", "a": "50000 100000\n"}, 0.5),
        ({"a/b": "300000 100000\n", "a": "200000 100000\n", ".": "max 100000\n"}, 2.0),
        ({"a/b": "what nobody knows\n", "a": "1 0\n"}, None),
    ],
)
def test_the_tightest_of_all_groups_above_counts(
    tmp_path: Path, limits: dict[str, str], expected: float | None
) -> None:
    assert groups(tmp_path, limits) == expected


@pytest.mark.parametrize(
    ("group", "limit", "expected"),
    [("a/b", ("150000", "100000"), 1.5), ("a", ("50000", "100000"), 0.5), (".", ("20000", "10000"), 2.0)]
    + [("a/b", says, None) for says in (("-1", "100000"), ("1", "0"), ("nobody", "knows"), ("1 2", "100000"))],
)
@pytest.mark.parametrize("controllers", ["cpu", "cpu,cpuacct"])
def test_groups_of_the_older_version_count_as_well(
    tmp_path: Path, group: str, limit: tuple[str, str], expected: float | None, controllers: str
) -> None:
    (tmp_path / "cpu" / group).mkdir(parents=True, exist_ok=True)
    for name, value in zip(("quota", "period"), limit, strict=True):
        (tmp_path / "cpu" / group / f"cpu.cfs_{name}_us").write_text(f"{value}\n")
    membership = f"9:cpuset:/a/b\n4:{controllers}:/a/b\n0::/\n"
    assert groups(tmp_path, {}, membership) == expected
    assert groups(tmp_path, {}, membership.replace(controllers, "memory")) is None
    assert groups(tmp_path, {".": "10000 100000"}, membership) == 0.1


@pytest.mark.parametrize(
    "membership", ["", "what nobody knows\n0:\n4:cpu:\n", "4:cpu:/a/b\n", "4:cpu:/../../a\n", "0::/../../a\n"]
)
def test_where_the_group_is_not_to_be_found_there_is_no_limit(tmp_path: Path, membership: str) -> None:
    """The last is that of a process outside of the control groups that its namespace shows."""
    assert groups(tmp_path, {"a": "50000 100000"}, membership) is None
    assert threads.quota(tmp_path / "none", tmp_path) is None


def test_plain_python_has_one_thread_and_says_so_when_asked_for_more() -> None:
    assert choose(PYTHON).threads == choose(PYTHON, threads=1).threads == 1
    with pytest.raises(Unavailable, match="the plain data plane, python, moves packets on one thread, not 2: "):
        choose(PYTHON, threads=2)


def test_without_the_extension_more_than_one_are_refused_and_as_many_as_help_are_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "wgnode_fastpath", None)
    assert choose(AUTO).threads == 1
    with pytest.raises(Unavailable, match="one thread, not 3"):
        choose(AUTO, threads=3)


@pytest.mark.parametrize(("processors", "expected"), [({3}, 1), ({0, 1, 5}, 2)])
def test_the_processors_that_it_may_use_decide_and_another_number_may_be_asked_for(
    processors: set[int], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wgnode_fastpath")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: processors)
    monkeypatch.setattr(threads, "quota", lambda: None)
    assert [choose(FAST, threads=number).threads for number in (None, 1, 2)] == [expected, 1, 2]
    with pytest.raises(ValueError, match="65 threads: 1 to 64 can move packets"):
        choose(FAST, threads=65)
