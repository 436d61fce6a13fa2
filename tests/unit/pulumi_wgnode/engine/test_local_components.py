"""A mesh and its sites in one stack, by the real engine and the real plugin, on faked hosts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.pulumi_wgnode.engine import programs
from tests.unit.pulumi_wgnode.engine.project import Project

pytestmark = [pytest.mark.timeout(600), pytest.mark.sampled(0)]  # in make test-long


def test_two_sites_are_made_stay_and_go(make: Callable[[int], Project]) -> None:
    project = make(2)
    project.program(programs.LOCAL)
    assert "13 created" in project.done("up", "--yes", "--skip-preview")
    assert "13 unchanged" in project.done("preview", "--expect-no-changes")
    project.done("state", "unprotect", "--all", "--yes")
    assert "13 deleted" in project.done("destroy", "--yes", "--skip-preview")
