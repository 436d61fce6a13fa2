"""A pytest plugin: the time that each folder's tests took, printed at the end against tests/budgets.toml.

The whole suite fits 25 minutes on 2 cores only if each part keeps to its share, so a new test displaces time. Where CI
runs, half as much again is a failure; machines are noisy, and anywhere else it is a warning.
"""

from __future__ import annotations

import os
import tomllib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import sample

FILE = Path(__file__).with_name("budgets.toml")
FAILS_AT = 1.5
"""Times a budget."""
LONGEST_NAMED = 3


def read(path: Path) -> dict[str, float]:
    """Minutes of one worker by folder. Raises ValueError on a budget that is no positive number."""
    found: dict[str, float] = tomllib.loads(path.read_text())["minutes"]
    for folder, minutes in found.items():
        if not isinstance(minutes, (int, float)) or minutes <= 0:
            raise ValueError(f"{path}: the budget of {folder} is {minutes!r}; give minutes, more than 0")
    return found


def under_ci() -> bool:
    """CI services set CI; .ci/run does."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


class TimeBudgets:
    """Adds up what tests and their fixtures took, in all workers; tests that several budgets hold for count once."""

    def __init__(self, budgets: Mapping[str, float], *, failing: bool) -> None:
        self.budgets, self.failing = budgets, failing
        self._seconds: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file = report.nodeid.partition("::")[0]
        self._seconds[self._folder(file)][file] += report.duration

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.failing and self.exceeded() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._seconds:
            return
        terminalreporter.section("minutes of one worker, by folder")
        for folder in sorted(self._seconds):
            took, budget = self.minutes(folder), self.budgets.get(folder)
            terminalreporter.write_line(
                f"{took:7.2f} of {budget:5.1f}  {folder}" if budget else f"{took:7.2f}  {folder}"
            )
        for folder in self.exceeded():
            terminalreporter.write_line(self._complaint(folder), red=self.failing, yellow=not self.failing)

    def minutes(self, folder: str) -> float:
        return sum(self._seconds[folder].values()) / 60

    def exceeded(self) -> list[str]:
        """Folders that took at least FAILS_AT times their budget."""
        return [
            each
            for each in sorted(self._seconds)
            if self.minutes(each) >= FAILS_AT * self.budgets.get(each, float("inf"))
        ]

    def _folder(self, file: str) -> str:
        """The longest one with a budget that the file is in, else its own."""
        within = [each for each in self.budgets if file.startswith(f"{each}/")]
        return max(within, key=len, default=file.rpartition("/")[0])

    def _complaint(self, folder: str) -> str:
        files = sorted(self._seconds[folder].items(), key=lambda each: -each[1])[:LONGEST_NAMED]
        longest = ", ".join(f"{file} {seconds / 60:.2f}" for file, seconds in files)
        return (
            f"{'FAILED' if self.failing else 'warning'}: {folder} took {self.minutes(folder):.2f} minutes, its "
            f"budget is {self.budgets[folder]:.3g} and {FAILS_AT:g} times that the limit; longest: {longest}. "
            f"Make tests cheaper or fewer, or change {FILE.parent.name}/{FILE.name} (docs/tests.md)"
        )


def plugin() -> TimeBudgets | None:
    """None where everything is run: that takes what it takes."""
    return None if sample.everything() else TimeBudgets(read(FILE), failing=under_ci())
