"""`wgnode site new` and a mesh that has more deployed than this folder's stack files say."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode.resources.mesh_topology import MeshTopology
from tests.unit.cli import test_site
from tests.unit.cli.test_site import MESH, run
from wgnode import recipient
from wgnode.cli import deployed

project, engine = test_site.project, test_site.engine
SITES = {
    "rome": {"lans": ["10.7.0.0/16"], "endpoint": "198.51.100.2:51820"},
    "oslo": {"lans": ["10.8.0.0/24"], "endpoint": "203.0.113.7:51820"},
}


def outputs(**changes: Any) -> str:
    """As `pulumi stack output topology --json` prints it."""
    sites = {name: {**site, "recipient": recipient.generate()[1]} for name, site in SITES.items()} | changes
    kind = MeshTopology()
    inputs = kind.check({"name": "prod", "tunnel": {"v4": "10.99.0.0/24"}, "sites": sites}, {})
    return json.dumps(kind.create("mesh", inputs, False)[1]["topology"])


def mesh_file(project: Path, *names: str) -> Path:
    entries = "".join(
        f"\n      {name}: {{lans: ['{SITES[name]['lans'][0]}'], endpoint: '{SITES[name]['endpoint']}',"
        f" recipient: '{recipient.generate()[1]}'}}"
        for name in names
    )
    (project / "stacks").mkdir(exist_ok=True)
    file = project / "stacks/Pulumi.prod-mesh.yaml"
    file.write_text(MESH.replace("sites: {}   # none so far", f"sites:{entries or ' {}'}"))
    return file


def test_what_a_deployed_site_has_that_the_folder_lacks_is_refused_and_nothing_is_written(engine: Path) -> None:
    project = engine.parent
    file = mesh_file(project)
    before = file.read_bytes()
    (engine / "outputs").write_text(outputs())
    answer = run("--endpoint", "203.0.113.7:51820", "--add")
    assert answer.exit_code == 2
    assert "lan 10.7.0.0/24 overlaps site 'rome' lan 10.7.0.0/16, which is deployed by stack prod-mesh" in answer.output
    assert "endpoint 203.0.113.7:51820 is site 'oslo''s, which is deployed" in answer.output
    assert file.read_bytes() == before
    assert not (project / "stacks/Pulumi.prod-paris.yaml").exists()


def test_a_name_that_is_deployed_is_refused(engine: Path) -> None:
    mesh_file(engine.parent)
    paris = {"lans": ["10.9.0.0/24"], "recipient": recipient.generate()[1]}
    (engine / "outputs").write_text(outputs(paris=paris, rome={**paris, **SITES["rome"], "lans": ["10.6.0.0/24"]}))
    answer = run()
    assert answer.exit_code == 2
    assert "site 'paris' is deployed by stack prod-mesh" in answer.output
    assert "bring the folder up to date" in answer.output


def test_what_the_folder_knows_is_judged_by_the_folder(engine: Path) -> None:
    """It is what will be deployed: a site that has made room there has made room."""
    file = mesh_file(engine.parent, "rome", "oslo")
    file.write_text(file.read_text().replace("10.7.0.0/16", "10.6.0.0/16").replace("203.0.113.7", "203.0.113.8"))
    (engine / "outputs").write_text(outputs())
    answer = run("--endpoint", "203.0.113.7:51820")
    assert answer.exit_code == 0, answer.output
    assert "only the stack files" not in answer.output


def test_a_mesh_that_never_ran_is_not_spoken_of(engine: Path) -> None:
    answer = run()
    assert answer.exit_code == 0, answer.output
    assert "only the stack files" not in answer.output


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"format": 99}', json.dumps({"format": 2})])
def test_outputs_that_nobody_understands_are_told_and_stop_nothing(engine: Path, content: str) -> None:
    (engine / "outputs").write_text(content)
    answer = run()
    assert answer.exit_code == 0, answer.output
    assert "only the stack files were looked at: outputs of stack prod-mesh can't be read" in answer.stderr


def test_an_engine_that_is_not_logged_in_or_silent_is_told_by_what_it_says() -> None:
    def refusing(arguments: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(arguments, 255, "", "warning: x\nerror: passphrase must be set\n")

    def silent(arguments: Any) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(arguments, deployed.TIMEOUT)

    with pytest.raises(deployed.Unreadable, match=r"^error: passphrase must be set$"):
        deployed.topology(refusing, "prod-mesh")
    with pytest.raises(deployed.Unreadable, match="no answer within 30 s"):
        deployed.topology(silent, "prod-mesh")


def test_without_an_engine_the_stack_files_are_enough(project: Path) -> None:
    assert run("--key-file", "paris.key").exit_code == 0
