"""The mesh's stack, and what a site's stack says before any resource exists, by the real engine. No host is needed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.deployment import WHOLE_STATES
from wgnode import recipient

from .older import make_mesh_older
from .project import Project

MESH = ("--stack", "dev-mesh")
BERLIN = ("--stack", "dev-berlin")
OTHER = {"PULUMI_CONFIG_PASSPHRASE": "another one"}
pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


@pytest.fixture
def project(tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]]) -> Project:
    return Project(tmp_path / "project", pulumi_environment())


def test_a_mesh_is_made_stays_as_it_is_and_survives_its_destruction(project: Project) -> None:
    project.mesh()
    project.done("up", "--yes", "--skip-preview", *MESH)
    project.done("preview", "--expect-no-changes", *MESH)
    topology = project.done("stack", "output", "topology", *MESH)
    assert json.loads(topology)["sites"]["cabin"]["addresses"] == ["10.99.0.2", "fd00:99::2"]

    refused = project.pulumi("destroy", "--yes", "--skip-preview", *MESH)
    assert refused.returncode != 0
    assert "cannot be deleted" in refused.stdout
    assert "pulumi state unprotect" in refused.stdout
    assert project.done("stack", "output", "topology", *MESH) == topology
    project.done("preview", "--expect-no-changes", *MESH)
    assert_keys_are_encrypted(project, refused.stdout + topology)


def assert_keys_are_encrypted(project: Project, said: str) -> None:
    exported = json.loads(project.done("stack", "export", "--show-secrets", *MESH))["deployment"]["resources"]
    outputs = next(resource["outputs"] for resource in exported if resource["type"].endswith(":MeshTopology"))
    found = re.findall(r"[A-Za-z0-9+/]{43}=", json.dumps([outputs["privateKeys"], outputs["meshSecret"]]))
    assert len(found) == 3
    state = Path(project.environment["PULUMI_BACKEND_URL"].removeprefix("file://").removesuffix(WHOLE_STATES))
    written = "".join(path.read_text(errors="replace") for path in state.rglob("*") if path.is_file())
    assert "topology" in written
    assert not [secret for secret in found if secret in written + said]


def test_a_mesh_of_before_ids_is_taken_over_and_what_leaves_it_rests(project: Project) -> None:
    project.mesh()
    project.done("up", "--yes", "--skip-preview", *MESH)
    made = json.loads(project.done("stack", "output", "topology", *MESH))["sites"]
    make_older_than_ids(project)
    preview = project.done("preview", "--diff", *MESH)
    assert "this mesh is from before sites had ids: berlin, cabin get one each" in preview
    assert re.search(r"berlin *: \{\s*\+ id", preview), preview
    project.done("up", "--yes", "--skip-preview", *MESH)
    project.done("preview", "--expect-no-changes", *MESH)
    taken = json.loads(project.done("stack", "output", "topology", *MESH))["sites"]
    for name, site in taken.items():
        assert (site["publicKeys"], site["addresses"]) == (made[name]["publicKeys"], made[name]["addresses"])
        assert (site["labels"], site["id"] == made[name]["id"]) == ([1, 2], False)

    project.done("config", "rm", "--path", "wgmesh:mesh.sites.cabin", *MESH)
    assert "site 'cabin' leaves and rests (index 2)" in project.done("up", "--yes", "--skip-preview", *MESH)
    resting = json.loads(project.done("stack", "output", "resting", *MESH))
    assert resting["cabin"]["publicKeys"] == taken["cabin"]["publicKeys"]
    told = project.done("preview", "--expect-no-changes", *MESH).partition("Diagnostics:")[2]
    assert told.count("site 'cabin' rests (index 2)") == 1
    lodge = {"renamedFrom": "cabin", "recipient": project.recipients["cabin"][1], "lans[0]": "10.2.0.0/24"}
    project.configure("dev-mesh", {f"mesh.sites.lodge.{key}": value for key, value in lodge.items()})
    project.done("up", "--yes", "--skip-preview", *MESH)
    renamed = json.loads(project.done("stack", "output", "topology", *MESH))["sites"]["lodge"]
    assert renamed == {**taken["cabin"], "lans": ["10.2.0.0/24"], "renamedFrom": "cabin"}
    project.done("preview", "--expect-no-changes", *MESH)


def make_older_than_ids(project: Project) -> None:
    """The state as the version before ids had it."""
    state = json.loads(project.done("stack", "export", *MESH))
    make_mesh_older(state)
    file = project.folder / "older.json"
    file.write_text(json.dumps(state))
    project.done("stack", "import", "--file", str(file), *MESH)


def test_a_bad_mesh_is_told_everything_at_once_and_nothing_is_made(project: Project) -> None:
    project.mesh()
    project.configure("dev-mesh", {"mesh.sites.cabin.lans[0]": "10.1.0.0/16", "mesh.tunnel.v4": "10.1.0.0/25"})
    project.done("config", "rm", "--path", "wgmesh:mesh.sites.berlin.endpoint", *MESH)
    project.configure("dev-mesh", {"mesh.keepalife": "5"})
    said = project.pulumi("up", "--yes", "--skip-preview", *MESH)
    assert said.returncode != 0
    assert "stacks/Pulumi.dev-mesh.yaml: 4 errors in the configuration, nothing was changed:" in said.stdout
    for part in (
        "wgmesh:mesh.keepalife: unknown key; did you mean `keepalive`?",
        "wgmesh:mesh.sites: sites 'berlin' and 'cabin' have no public endpoint",
        "wgmesh:mesh.sites.cabin.lans[0]: site 'cabin': lan 10.1.0.0/16 overlaps ",
        "site 'berlin': lan 10.1.0.0/24 overlaps ",
    ):
        assert part in said.stdout
    assert "Traceback" not in said.stdout
    assert "MeshTopology" not in project.done("stack", "export", *MESH)


def test_a_site_is_told_what_is_wrong_with_its_mesh_before_any_resource_exists(project: Project) -> None:
    project.site("berlin")
    assert "mesh stack 'dev-mesh' does not exist" in refused(project)
    project.mesh()
    assert "mesh stack 'dev-mesh' exists but never ran: run `pulumi up -s dev-mesh` first" in refused(project)
    project.done("up", "--yes", "--skip-preview", *MESH)

    said = project.done("preview", *BERLIN)
    for kind in ("HypervisorHost", "NatFirewall", "ApplianceImage", "Gateway"):
        assert kind in said
    project.secret("dev-berlin", "recipientKey", recipient.generate()[0])
    assert "its bundle in mesh stack 'dev-mesh' is sealed to recipient" in refused(project)
    project.configure("dev-berlin", {"site.name": "farm"})
    assert "site 'farm' is not in mesh 'dev' (its sites: berlin, cabin)" in refused(project)
    project.configure("dev-berlin", {"site.mesh": "dev-berlin"})
    assert "dev-berlin" in refused(project)


def refused(project: Project) -> str:
    """What `preview` says, which must fail without a traceback and plan nothing of ours."""
    done = project.pulumi("preview", *BERLIN)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert "wgnode:index" not in done.stdout
    return done.stdout


def test_stacks_with_different_passphrases_work_together(project: Project) -> None:
    project.mesh()
    project.done("up", "--yes", "--skip-preview", *MESH)
    project.site("cabin", **OTHER)
    assert "Gateway" in project.done("preview", "--stack", "dev-cabin", **OTHER)
