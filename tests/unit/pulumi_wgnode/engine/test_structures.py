"""Configuration and keys as structures, by the real engine: as the function makes them, and of states with text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pulumi_wgnode.contracts.node import config_of, secrets_of
from tests.unit.pulumi_wgnode.engine import programs
from tests.unit.pulumi_wgnode.engine.project import Project

pytestmark = [pytest.mark.timeout(900), pytest.mark.sampled(0)]  # in make test-long


def test_a_program_that_wires_the_resources_itself_asks_the_function(make: Callable[[int], Project]) -> None:
    project = make(2)
    project.program(programs.WIRED)
    assert "11 to create" in project.done("preview"), "what it is made of is unknown until there is a mesh"
    assert "11 created" in project.done("up", "--yes", "--skip-preview")
    assert "11 unchanged" in project.done("preview", "--expect-no-changes")
    keys = [key for one in gateways(project) for key in plain(one["outputs"]["secrets"])["privateKeys"]]
    assert len(keys) == 2
    assert not [key for key in keys if key in project.done("stack", "export")]


def test_a_state_with_text_is_no_change_and_becomes_one_with_structures(make: Callable[[int], Project]) -> None:
    project = make(1)
    project.program(programs.LOCAL)
    project.done("up", "--yes", "--skip-preview")
    make_older(project)
    assert "8 unchanged" in project.done("preview", "--diff", "--expect-no-changes")
    project.done("up", "--yes", "--skip-preview", "--expect-no-changes")
    (gateway,) = gateways(project)
    for had in ("inputs", "outputs"):
        assert gateway[had]["config"]["name"] == "site0"
        assert plain(gateway[had]["secrets"])["privateKeys"]
    assert gateway["outputs"]["written"]["format"] == 2


def gateways(project: Project) -> list[dict[str, Any]]:
    return [one for one in project.state() if one["type"] == "wgnode:index:Gateway"]


def plain(secret: Any) -> Any:
    return json.loads(secret["plaintext"]) if "plaintext" in secret else secret


def make_older(project: Project) -> None:
    """The state as the version before structures has written it."""
    state = json.loads(project.done("stack", "export", "--show-secrets"))
    for one in state["deployment"]["resources"]:
        if one["type"] == "wgnode:index:Gateway":
            for had in (one["inputs"], one["outputs"]):
                had["config"] = config_of(had["config"]).to_json().decode()
                keys = secrets_of(plain(had["secrets"])).to_json().decode()
                had["secrets"]["plaintext"] = json.dumps(keys)
            one["outputs"]["written"]["format"] = 1
    file = project.folder / "older.json"
    file.write_text(json.dumps(state))
    project.done("stack", "import", "--file", str(file))
