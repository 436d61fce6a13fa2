"""The recovery file: for its owner alone, and imported as the state that made the mesh."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode import recovery
from pulumi_wgnode.call.kind import CheckError, Imported, Secret
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.provider.codec import decode_map, encode_map
from pulumi_wgnode.recovery import Recovery
from pulumi_wgnode.resources.mesh_topology import MeshTopology
from tests.unit.pulumi_wgnode.test_mesh_topology import mesh, over_the_wire

KIND = MeshTopology()


@pytest.fixture
def state() -> dict[str, Any]:
    """Of a mesh as `up` made it."""
    return over_the_wire(KIND.create("mesh", mesh(), False)[1])


def recovery_of(state: dict[str, Any], **changes: Any) -> Recovery:
    parts = {
        "inputs": mesh(),
        "allocations": {**state["topology"]["sites"], **state["resting"]},
        "private_keys": state["privateKeys"],
        "mesh_secret": state["meshSecret"],
        "epoch": state["topology"]["epoch"],
        "bundles": state["bundles"],
    }
    return Recovery(**{**parts, **changes})


def imported(file: Path) -> Imported:
    """As the engine reads it: by the id in the import file, with neither state nor inputs."""
    resource = json.loads(file.read_text())["resources"][1]
    found = KIND.read(resource["id"], {}, {})
    assert isinstance(found, Imported)
    return found


def test_nobody_else_may_read_the_file_and_none_is_written_over(state: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "file"
    recovery.write(file, recovery_of(state))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    with pytest.raises(FileExistsError):
        recovery.write(file, recovery_of(state, epoch=9))
    assert file.read_bytes() == before


def test_the_engine_is_told_of_the_component_and_the_resource_in_it(state: dict[str, Any], tmp_path: Path) -> None:
    recovery.write(tmp_path / "file", recovery_of(state))
    component, resource = json.loads((tmp_path / "file").read_text())["resources"]
    assert (component["type"], component["component"], component["logicalName"]) == ("wgnode:index:Mesh", True, "mesh")
    assert resource["parent"] == component["name"]
    assert resource["id"] == f"recovered:{tmp_path / 'file'}"
    assert resource["logicalName"] == "mesh"
    assert not [secret for secret in secrets_of(state) if secret in json.dumps([component, resource])]


def secrets_of(state: dict[str, Any]) -> list[str]:
    return [state["meshSecret"], *(key for keys in state["privateKeys"].values() for key in keys)]


def test_an_import_gives_the_state_that_was_lost_under_the_resources_own_id(
    state: dict[str, Any], tmp_path: Path
) -> None:
    recovery.write(tmp_path / "file", recovery_of(state))
    found = imported(tmp_path / "file")
    assert found.id == "mesh"
    assert found.inputs == mesh()
    assert isinstance(found.state["privateKeys"], Secret)
    assert isinstance(found.state["meshSecret"], Secret)
    assert decode_map(encode_map(found.state)) == state, "the very same bundles too"
    assert KIND.diff(state, found.inputs, mesh()).changes == ()


def test_bundles_that_were_not_on_the_hosts_are_sealed_anew(state: dict[str, Any], tmp_path: Path) -> None:
    recovery.write(tmp_path / "file", recovery_of(state, bundles={"berlin": state["bundles"]["berlin"]}))
    bundles = imported(tmp_path / "file").state["bundles"]
    assert bundles["berlin"] == state["bundles"]["berlin"]
    assert bundles["cabin"] != state["bundles"]["cabin"]


def test_a_lost_site_keeps_its_index_and_gets_a_new_key_by_the_next_up(state: dict[str, Any], tmp_path: Path) -> None:
    inputs = mesh()
    del inputs["sites"]["berlin"]
    keys = {"cabin": state["privateKeys"]["cabin"]}
    recovery.write(tmp_path / "file", recovery_of(state, inputs=inputs, private_keys=keys))
    found = imported(tmp_path / "file")
    recovered = over_the_wire(found.state)
    assert set(recovered["topology"]["sites"]) == {"cabin"}
    assert [change.path for change in KIND.diff(recovered, found.inputs, mesh()).changes] == ["sites.berlin"]
    after = over_the_wire(KIND.update("mesh", recovered, mesh(), False))
    assert after["topology"]["sites"]["berlin"]["addresses"] == state["topology"]["sites"]["berlin"]["addresses"]
    assert after["privateKeys"]["cabin"] == state["privateKeys"]["cabin"]
    assert after["privateKeys"]["berlin"] != state["privateKeys"]["berlin"]


def test_a_file_that_others_may_read_is_refused(state: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "file"
    recovery.write(file, recovery_of(state))
    for mode in (0o640, 0o604, 0o620):
        file.chmod(mode)
        with pytest.raises(ExplainedError, match=f"has mode {mode:04o}: others may read"):
            recovery.read(f"recovered:{file}")
    file.chmod(0o400)
    assert recovery.read(f"recovered:{file}").epoch == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is damaged"),
        ('{"recovered": {"format": 2, "inputs": {}}}', "is damaged"),
        ('{"recovered": {"format": 1}}', "has format 1, this version reads 2"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_text(content)
        file.chmod(0o600)
    with pytest.raises(ExplainedError, match=rf"{file}.*{said}"):
        recovery.read(f"recovered:{file}")


def test_an_import_by_another_id_is_told_both_ways_back() -> None:
    with pytest.raises(ExplainedError, match=r"pulumi stack import.*wgnode mesh recover"):
        KIND.read("mesh", {}, {})


def test_hosts_that_have_an_impossible_mesh_are_refused_by_the_same_rules_as_a_stack_file(
    state: dict[str, Any], tmp_path: Path
) -> None:
    inputs = mesh()
    inputs["sites"]["cabin"]["lans"] = ["10.1.0.0/16"]
    recovery.write(tmp_path / "file", recovery_of(state, inputs=inputs))
    with pytest.raises(CheckError, match="overlaps"):
        imported(tmp_path / "file")
