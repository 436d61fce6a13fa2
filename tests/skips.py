"""A pytest plugin: only tests that tests/allowed_skips.toml lists may skip, every other skip is a failure.

A skipped test looks like a passed one to whoever reads the last line, so a skip has to be agreed on beforehand, with
a reason. The same goes for tests expected to fail, and for modules that skip as a whole while they are collected.
"""

import tomllib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("allowed_skips.toml")


@dataclass(frozen=True)
class AllowedSkip:
    """One entry: shell patterns of node ids (`tests/conformance/*`) and of the skip's own message, and why."""

    test: str
    message: str
    reason: str


def read_list(path: Path) -> list[AllowedSkip]:
    """Raises TypeError on an entry with a missing or unknown key, ValueError on an empty reason."""
    entries = [AllowedSkip(**entry) for entry in tomllib.loads(path.read_text()).get("skip", [])]
    for entry in entries:
        if not entry.reason.strip():
            raise ValueError(f"{path}: the entry for {entry.test} gives no reason")
    return entries


class SkipsAreAgreedOn:
    """Turns reports of skips that are not listed into failures, where the report is made (so in each xdist worker)."""

    def __init__(self, allowed: Sequence[AllowedSkip]) -> None:
        self.allowed = allowed

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        expected_failure = getattr(report, "wasxfail", None)
        if expected_failure is not None and not self._is_allowed(report.nodeid, expected_failure):
            del report.wasxfail
            _fail(report, f"expected to fail: {expected_failure}")
        elif report.skipped and not self._is_allowed(report.nodeid, _message(report)):
            _fail(report, f"skipped: {_message(report)}")
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        if report.skipped and not self._is_allowed(report.nodeid, _message(report)):
            _fail(report, f"skipped: {_message(report)}")
        return report

    def _is_allowed(self, nodeid: str, message: str) -> bool:
        return any(fnmatchcase(nodeid, entry.test) and fnmatchcase(message, entry.message) for entry in self.allowed)


def _message(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The skip's own words; pytest reports them as (file, line, "Skipped: words")."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)


def _fail(report: pytest.TestReport | pytest.CollectReport, what: str) -> None:
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid} {what}\nThis is not agreed on in {LIST.parent.name}/{LIST.name}."
