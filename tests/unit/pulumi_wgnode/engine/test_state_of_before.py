"""The first `up` by this version of a stack that the version before has made: each resource is migrated, none is lost.

states/stack-of-before.json.gz has that stack's state, and what is on its hosts (tests/unit/neighbours/record.py).
"""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode.provider import registry
from pulumi_wgnode.resources.versioned import MARK
from tests.unit.pulumi_wgnode.engine import kept_host, programs
from tests.unit.pulumi_wgnode.engine.project import Project

pytestmark = [pytest.mark.timeout(600), pytest.mark.sampled(0)]  # in make test-long
FIXTURE = json.loads(gzip.decompress((Path(__file__).parents[1] / "states" / "stack-of-before.json.gz").read_bytes()))
RESOURCES = 13
SITES = ("site0", "site1")


@pytest.fixture
def project(tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]]) -> Project:
    """As it was left by the version before, with a program that asks for the same."""
    made = Project(tmp_path / "own", pulumi_environment(), 2)
    made.program(programs.LOCAL)
    (made.folder / "given.json").write_text(json.dumps(FIXTURE["given"]))
    assert made.digest == FIXTURE["given"]["digest"], "the image is the same one"
    for address, content in FIXTURE["hosts"].items():
        (made.hosts / f"{address}.pickle").write_bytes(pickle.dumps(kept_host.read(content)))
    (made.folder / "state.json").write_text(json.dumps(FIXTURE["state"]))
    made.done("stack", "import", "--file", "state.json")
    return made


def ours(resources: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["urn"]: one for one in resources if one["type"] in registry.MODULES}


def test_every_resource_of_the_version_before_is_migrated_by_the_first_up_and_the_preview_says_so(
    project: Project,
) -> None:
    before = ours(project.state())
    assert {one["type"] for one in before.values()} == set(registry.MODULES)
    said = project.done("preview", "--diff")
    assert ("replace" in said, "delete" in said, "create" in said) == (False, False, False)
    assert "tap of wgnode-qemu" in said, "who runs QEMU"
    assert "PRIVATE KEY" not in said
    assert ours(project.state()) == before, "a preview changes nothing"

    project.done("up", "--yes", "--skip-preview")
    after = ours(project.state())
    assert {urn: one["id"] for urn, one in after.items()} == {urn: one["id"] for urn, one in before.items()}
    for urn, one in after.items():
        assert one["outputs"][MARK]["format"] >= before[urn]["outputs"][MARK]["format"]
    (mesh,) = (urn for urn, one in after.items() if one["type"] == registry.MESH)
    for secret in ("privateKeys", "meshSecret", "bundles"):
        assert after[mesh]["outputs"][secret] == before[mesh]["outputs"][secret]
    for host in project.known:
        events = pickle.loads((project.hosts / f"{host}.pickle").read_bytes())["events"]
        assert any(event.startswith("write /var/lib/wgnode/hostd/") for event in events), "it has this version's"
    assert f"{RESOURCES} unchanged" in project.done("preview", "--expect-no-changes")


def test_what_the_version_before_has_made_can_be_destroyed_without_an_up_before(project: Project) -> None:
    project.done("state", "unprotect", "--all", "--yes")
    project.done("destroy", "--yes", "--skip-preview")
    assert ours(project.state()) == {}
    for host in project.known:
        left = pickle.loads((project.hosts / f"{host}.pickle").read_bytes())
        assert [path for path in left["files"] if "wgnode" in path] == []
