"""Errors in stack configuration: all of them at once, each with the value's path and what to do."""

from __future__ import annotations

from collections.abc import Iterable

import pulumi

from wgnode.topology.validate import Problem


class ConfigurationError(pulumi.RunError):
    """Shown by the engine as it is, without a traceback, before any resource exists."""

    def __init__(self, where: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        count = "1 error" if len(self.problems) == 1 else f"{len(self.problems)} errors"
        lines = "".join(f"\n  {problem.path}: {problem.message}" for problem in self.problems)
        super().__init__(f"{where}: {count} in the configuration, nothing was changed:{lines}")
