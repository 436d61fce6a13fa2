"""Stacks that neighbouring versions run one after the other, by the real engine, on hosts that are faked.

Each version comes with its own plugin, components and fakes; what stays is the stack's state and what is on the hosts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.neighbours.versions import Version
from tests.unit.pulumi_wgnode.engine import programs
from tests.unit.pulumi_wgnode.engine.project import Project

pytestmark = [pytest.mark.timeout(900), pytest.mark.sampled(0)]  # in make test-long
RESOURCES = 13


def formats(project: Project) -> dict[str, int]:
    """Of each resource's state, by name and kind."""
    states: list[dict[str, Any]] = [one for one in project.state() if "written" in one.get("outputs", {})]
    return {one["urn"].split("::", 2)[2]: int(one["outputs"]["written"]["format"]) for one in states}


def goes_on(project: Project) -> str:
    """Nothing is made anew, and after one `up` nothing is left to do; what the preview of that says."""
    said = project.done("preview", "--diff")
    assert "replace" not in said
    assert "delete" not in said
    project.done("up", "--yes", "--skip-preview")
    assert f"{RESOURCES} unchanged" in project.done("preview", "--expect-no-changes")
    return said


def test_a_stack_goes_on_with_the_next_version_and_back_where_no_format_has_grown(
    tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]], versions: dict[str, Version]
) -> None:
    project = Project(tmp_path / "own", pulumi_environment(), 2)
    project.run_by(versions["former"].tree)
    project.program(programs.LOCAL)
    assert f"{RESOURCES} created" in project.done("up", "--yes", "--skip-preview")
    before, ids = formats(project), {one["urn"]: one.get("id") for one in project.state()}
    assert len(before) == 9, "the mesh, and four of each site"

    project.run_by(versions["this"].tree)
    said = goes_on(project)
    after = formats(project)
    assert {one["urn"]: one.get("id") for one in project.state()} == ids
    grown = {name for name in before if after[name] > before[name]}
    assert said.count("with the next `pulumi up` it has format") >= len(grown)

    project.run_by(versions["former"].tree)
    if not grown:
        goes_on(project)
        return
    refused = project.pulumi("preview")
    assert refused.returncode
    assert "changed nothing. Go on with that version or a later one" in refused.stdout
