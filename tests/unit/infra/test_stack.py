"""The stack's configuration as the engine hands it over, beside how it stands in the stack file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra import stack
from infra.config_errors import ConfigurationError

MESH = """\
config:
  wgmesh:role: mesh
  other:flag: no
  wgmesh:mesh:
    name: dev
    listenPort: 0123
    sites:
      on:
        endpoint: yes
        lans: ["0123", 0x10]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose stack dev-mesh has MESH, as the engine's reader understands it."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks/Pulumi.dev-mesh.yaml").write_text(MESH)
    sites = {"on": {"endpoint": "yes", "lans": ["0123", 16]}}
    given: dict[str, Any] = {
        "wgmesh:role": "mesh",
        "wgmesh:mesh": json.dumps({"name": "dev", "listenPort": 83, "sites": sites}),
    }
    monkeypatch.setattr(stack, "get_config", given.get)
    monkeypatch.setattr(stack, "root", lambda: tmp_path)
    monkeypatch.setattr(stack.pulumi, "get_stack", lambda: "dev-mesh")
    return tmp_path


def test_values_that_are_not_read_alike_are_refused_where_they_stand(project: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        stack.load()
    said = {problem.path: problem.message for problem in caught.value.problems if "read" in problem.message}
    assert set(said) == {
        "wgmesh:mesh.listenPort",
        "wgmesh:mesh.sites.on",
        "wgmesh:mesh.sites.on.endpoint",
        "wgmesh:mesh.sites.on.lans[1]",
    }
    assert said["wgmesh:mesh.listenPort"].startswith("0123 is read as an octal number: write it without the 0")


def test_without_a_stack_file_what_the_engine_hands_over_counts(project: Path) -> None:
    (project / "stacks/Pulumi.dev-mesh.yaml").unlink()
    with pytest.raises(ConfigurationError) as caught:
        stack.load()
    assert not [problem for problem in caught.value.problems if "octal" in problem.message]
