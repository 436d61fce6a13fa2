"""What Pulumi offers for any resource, on ours: by the real engine and the real plugin, on faked hosts.

One project of two sites in one stack, in which each test changes something and takes it back.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import environment_of_pulumi
from tests.unit.pulumi_wgnode.engine.project import Project
from tests.unit.pulumi_wgnode.keys import KEY, OTHER_KEY, PIN

pytestmark = [pytest.mark.timeout(900), pytest.mark.sampled(0)]  # in make test-long
PROGRAM = """
import pulumi
from pathlib import Path
from pulumi_wgnode.components import Mesh, Site
from pulumi_wgnode.contracts.mesh_topology import MeshTopologyInputs

CHANGES = json.loads(pathlib.Path('changes.json').read_text())


def transformed(args):
    kind, given = args.type_.rsplit(":", 1)[1], {}
    for which, options in CHANGES["options"].items():
        given |= options if which in (kind, args.name) else {}
    if "custom_timeouts" in given:
        given["custom_timeouts"] = pulumi.CustomTimeouts(**given["custom_timeouts"])
    opts = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(**given))
    return pulumi.ResourceTransformationResult(args.props, opts)


pulumi.runtime.register_stack_transformation(transformed)
mesh = Mesh("mesh", MeshTopologyInputs(**GIVEN["mesh"]))
for name, site in GIVEN["sites"].items():
    for path, value in CHANGES["site"].items():
        inner = site
        *steps, last = path.split(".")
        for step in steps:
            inner = inner[step]
        inner[last] = value
    called = CHANGES["names"].get(name, name)
    opts = pulumi.ResourceOptions(aliases=[pulumi.Alias(name=name)] if called != name else None)
    if name not in CHANGES["without"]:
        Site(called, site, topology=mesh.topology, bundle=mesh.bundles[name], root=Path.cwd(), opts=opts)
"""
RESOURCES = 13  # the stack, the mesh and its resource, and of each site itself and four


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, engine_bin: Path) -> Project:
    folder = tmp_path_factory.mktemp("options")
    made = Project(folder / "own", environment_of_pulumi(engine_bin, folder), 2)
    made.program(PROGRAM)
    write(made)
    assert f"{RESOURCES} created" in made.done("up", "--yes", "--skip-preview")
    return made


def write(project: Project, **changes: Any) -> None:
    nothing: dict[str, Any] = {"options": {}, "site": {}, "names": {}, "without": []}
    (project.folder / "changes.json").write_text(json.dumps({**nothing, **changes}))


@contextmanager
def changed(project: Project, **changes: Any) -> Iterator[None]:
    write(project, **changes)
    try:
        yield
    finally:
        write(project)


def fake(project: Project, name: str) -> dict[str, Any]:
    content: dict[str, Any] = pickle.loads((project.hosts / f"{project.address(name)}.pickle").read_bytes())
    return content


def urn(project: Project, name: str) -> str:
    return next(str(one["urn"]) for one in project.state() if one["urn"].endswith(f"::{name}"))


def test_several_sites_in_one_stack_stay_as_they_are(project: Project) -> None:
    assert f"{RESOURCES} unchanged" in project.done("preview", "--expect-no-changes")


def test_a_preview_of_differences_shows_old_and_new_values_and_no_secret(project: Project) -> None:
    changes = {"gateway.memory": 192, "host.privateKey": OTHER_KEY, "managementNetworks": ["192.0.3.0/24"]}
    with changed(project, site=changes):
        said = project.done("preview", "--diff")
    assert "128 => 192" in said
    assert '"192.0.2.0/24" => "192.0.3.0/24"' in said
    assert "[secret]" in said
    for key in (KEY, OTHER_KEY):
        assert key.splitlines()[1] not in said
    assert "replace" not in said


def test_what_is_ignored_changes_nothing(project: Project) -> None:
    ignored = {"NatFirewall": {"ignore_changes": ["managementNetworks"]}}
    with changed(project, site={"managementNetworks": ["192.0.3.0/24"]}, options=ignored):
        assert f"{RESOURCES} unchanged" in project.done("preview", "--expect-no-changes")
    with changed(project, site={"managementNetworks": ["192.0.3.0/24"]}):
        assert "2 to update" in project.done("preview")


def test_another_name_with_an_alias_is_no_change(project: Project) -> None:
    with changed(project, names={"site1": "cabin"}):
        said = project.done("preview", "--expect-no-changes")
    assert f"{RESOURCES} unchanged" in said


def test_a_target_alone_is_changed(project: Project) -> None:
    with changed(project, site={"managementNetworks": ["192.0.3.0/24"]}):
        done = project.done("up", "--yes", "--skip-preview", "--target", urn(project, "site0-firewall"))
        assert "1 updated" in done
        assert "1 to update" in project.done("preview")
    assert "1 updated" in project.done("up", "--yes", "--skip-preview")


def test_custom_timeouts_end_an_update_by_name(project: Project) -> None:
    limited = {"site0-firewall": {"custom_timeouts": {"update": "1s"}}}
    target = ("--target", urn(project, "site0-firewall"))
    project.describe(slow=30)
    with changed(project, site={"managementNetworks": ["192.0.3.0/24"]}, options=limited):
        failed = project.pulumi("up", "--yes", "--skip-preview", *target)
    assert failed.returncode
    assert "update of site0-firewall may take 1 s by its customTimeouts, which are over" in failed.stdout
    project.describe(slow=0)
    project.done("up", "--yes", "--skip-preview")
    assert f"{RESOURCES} unchanged" in project.done("preview", "--expect-no-changes")


def test_a_protected_resource_is_not_deleted(project: Project) -> None:
    protect = {"site1-gateway": {"protect": True}}
    with changed(project, options=protect):
        project.done("up", "--yes", "--skip-preview")
    with changed(project, options=protect, without=["site1"]):
        refused = project.pulumi("up", "--yes", "--skip-preview")
    assert refused.returncode
    assert "protect" in refused.stdout
    assert fake(project, "site1")["states"]["wgnode-gateway.service"][0] == "active"
    project.done("up", "--yes", "--skip-preview")
    assert f"{RESOURCES} unchanged" in project.done("preview", "--expect-no-changes")


def test_what_is_on_a_host_is_imported_into_a_stack_that_never_had_it(project: Project) -> None:
    known = project.folder / "known"
    known.write_text("".join(f"{project.address(name)} {PIN}\n" for name in project.names))
    kinds = ("HypervisorHost", "NatFirewall", "ApplianceImage", "Gateway")
    wanted = [
        {"type": f"wgnode:index:{kind}", "name": kind, "id": f"root@{project.address('site0')}/site0"} for kind in kinds
    ]
    (project.folder / "import.json").write_text(json.dumps({"resources": wanted}))
    of_site0 = {one["type"]: one for one in project.state() if one["urn"].rsplit("::", 1)[1].startswith("site0-")}
    here = {"WGNODE_SSH_KNOWN_HOSTS": str(known)}
    project.done("stack", "init", "other")
    try:
        said = project.done("import", "-f", "import.json", "--yes", "--generate-code=false", "--protect=false", **here)
        assert "4 imported" in said
        assert "failed to validate" not in said
        made = {one["type"]: one for one in project.state()}
        project.done("refresh", "--yes", "--expect-no-changes", **here)
    finally:
        project.done("stack", "select", "dev")
    for kind in kinds:
        one, before = made[f"wgnode:index:{kind}"], of_site0[f"wgnode:index:{kind}"]
        assert one["id"] == before["id"]
        connection = {"address": project.address("site0"), "user": "root", "hostKeys": [PIN]}
        assert {"connection", "site", "neededBy"} & one["inputs"].keys() > {"connection"}
        same = {name: before["inputs"][name] for name in one["inputs"]}
        assert {**one["inputs"], "connection": 0} == {**same, "connection": 0}
        assert one["inputs"]["connection"] == connection
    assert made["wgnode:index:Gateway"]["outputs"]["secrets"].keys() >= {"plaintext"}, "it is a secret in the state"


def test_what_is_retained_stays_on_the_host_and_is_adopted_again(project: Project) -> None:
    kinds = ("HypervisorHost", "NatFirewall", "ApplianceImage", "Gateway")
    with changed(project, options={kind: {"retain_on_delete": True} for kind in kinds}):
        project.done("up", "--yes", "--skip-preview")
    before = fake(project, "site1")["files"]
    with changed(project, without=["site1"]):
        assert "5 deleted" in project.done("up", "--yes", "--skip-preview")
    assert fake(project, "site1")["files"] == before
    assert "5 created" in project.done("up", "--yes", "--skip-preview")
    assert f"{RESOURCES} unchanged" in project.done("preview", "--expect-no-changes")
