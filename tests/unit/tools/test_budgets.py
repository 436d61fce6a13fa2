"""Time by folder is told before the closing line, and what goes far beyond its budget fails CI's run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.budgets import FAILS_AT, FILE, TimeBudgets, read, under_ci
from tools import ROOT

pytest_plugins = ["pytester"]

TEST = "def test_x(): pass"
SIX_SECONDS = """
import pytest
@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    report.duration = {"setup": 2.0, "call": 3.0, "teardown": 1.0}[report.when]
    return report
"""
"""As long as a test and its fixtures take by their reports."""
LIMIT = 0.1
"""Minutes, the same."""


def run(pytester: pytest.Pytester, limit: float, *, failing: bool) -> pytest.RunResult:
    """A pytest run over slow/test_it.py, whose folder may take `limit` minutes."""
    pytester.makeconftest(SIX_SECONDS)
    pytester.mkdir("slow")
    pytester.makepyfile(**{"slow/test_it": TEST})
    plugin = TimeBudgets({"slow": limit / FAILS_AT, "other": 1}, failing=failing)
    return pytester.runpytest_inprocess("-p", "no:hypothesispytest", "slow", plugins=[plugin])


@pytest.mark.parametrize("failing", [True, False])
def test_time_within_the_limit_passes_and_is_told_before_the_closing_line(
    pytester: pytest.Pytester, failing: bool
) -> None:
    result = run(pytester, LIMIT + 0.001, failing=failing)
    result.stdout.fnmatch_lines(["*minutes of one worker*", "*0.10 of *  slow"])
    assert (result.ret, "passed in" in result.outlines[-1]) == (0, True)
    result.stdout.no_fnmatch_line("*its budget is*")


def test_time_beyond_the_limit_fails_where_ci_runs(pytester: pytest.Pytester) -> None:
    result = run(pytester, LIMIT, failing=True)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines("FAILED: slow took 0.10 minutes, its budget is 0.06*; longest: slow/test_it.py 0.10.*")
    assert "passed in" in result.outlines[-1], "pytest's own line stays the last"


def test_time_beyond_the_limit_is_a_warning_anywhere_else(pytester: pytest.Pytester) -> None:
    result = run(pytester, LIMIT, failing=False)
    result.stdout.fnmatch_lines("warning: slow took 0.10 minutes*")
    assert (result.ret, "passed in" in result.outlines[-1]) == (0, True)


def test_workers_of_xdist_are_added_up(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest(
        SIX_SECONDS + "from tests.budgets import TimeBudgets\n"
        "def pytest_configure(config):\n"
        "    if not hasattr(config, 'workerinput'):\n"
        f"        config.pluginmanager.register(TimeBudgets({{'slow': {2 * LIMIT / FAILS_AT}}}, failing=True))"
    )
    pytester.mkdir("slow")
    pytester.makepyfile(**{"slow/test_one": TEST, "slow/test_two": TEST})
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest", "-n", "2", "slow")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines("FAILED: slow took 0.20 minutes*")


def test_an_interrupted_run_keeps_its_exit_code(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(test_it="def test_x(): raise KeyboardInterrupt")
    pytester.makeconftest(
        "from tests.budgets import TimeBudgets\n"
        "def pytest_configure(config): config.pluginmanager.register(TimeBudgets({'.': 1e-9}, failing=True))"
    )
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest")
    assert result.ret == pytest.ExitCode.INTERRUPTED


def test_the_longest_folder_that_a_file_is_in_counts() -> None:
    plugin = TimeBudgets({"tests/lab": 1, "tests/lab/scenarios": 1}, failing=True)
    assert plugin._folder("tests/lab/test_a.py") == "tests/lab"
    assert plugin._folder("tests/lab/scenarios/test_b.py") == "tests/lab/scenarios"
    assert plugin._folder("tests/laboratory/test_c.py") == "tests/laboratory", "its own, without a budget"


@pytest.mark.parametrize("value", ["0", "-1", "'long'"])
def test_a_budget_that_is_no_time_is_named(tmp_path: Path, value: str) -> None:
    (tmp_path / "b.toml").write_text(f'[minutes]\n"tests/unit" = {value}\n')
    with pytest.raises(ValueError, match=r"tests/unit is .*; give minutes"):
        read(tmp_path / "b.toml")


def test_budgets_are_what_two_workers_have_in_25_minutes_and_each_folder_is_there() -> None:
    budgets = read(FILE)
    assert sum(budgets.values()) <= 2 * 25
    assert all((ROOT / folder).is_dir() for folder in budgets)


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("1", True), ("", False), ("false", False)])
def test_ci_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("CI", value)
    assert under_ci() is expected
