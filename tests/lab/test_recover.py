"""State lost, hosts alive: `wgnode mesh recover` and `pulumi import` bring the mesh back under a running stream."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import demo
from lab.api import Lab
from lab.deployment import MESH_STACK, Deployment
from wgnode import recipient

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

SITES = ("berlin", "cabin")
CABIN = "10.2.0.100"
UNITS = "wgnode-gateway.service wgnode-hostd.service wgnode-network.service"


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Iterator[Deployment]:
    """The demo environment, deployed once for this module; every test leaves it working."""
    deployment = Deployment(lab)
    deployment.prepare()
    try:
        for stack in deployment.stacks:
            deployment.up(stack)
        assert lab.ping("berlin.client", CABIN, count=2, deadline=60)
        yield deployment
    finally:
        for site in SITES:
            deployment.pulumi(["destroy", "--yes", "--stack", f"dev-{site}"], check=False)


def starts(lab: Lab) -> dict[str, str]:
    """When each unit was started, by host: another value means a restart."""
    show = f"systemctl show -p Id -p MainPID -p NRestarts -p ActiveEnterTimestampMonotonic {UNITS}"
    return {site: lab.host_ssh(site, show).stdout for site in SITES}


def mesh_outputs(deployment: Deployment) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(deployment.pulumi(["stack", "output", "--json", "--stack", MESH_STACK]).stdout)
    return shown


def lose_all_state(deployment: Deployment) -> None:
    """As after the loss of the backend: the stacks' files are there, with their secrets, the stacks themselves not."""
    shutil.rmtree(deployment.folder / "state")
    (deployment.folder / "state").mkdir()


def test_status_is_healthy_and_names_what_somebody_changed_in_a_running_node(
    lab: Lab, deployed: Deployment, capfd: pytest.CaptureFixture[str]
) -> None:
    healthy = deployed.wgnode(["status"])
    assert healthy.returncode == 0, healthy.stdout + healthy.stderr
    assert demo._status(lab, argparse.Namespace()) == 0
    assert "stack dev-cabin)" in capfd.readouterr().out
    assert re.search(r"^berlin: running, up .* \(root@198\.51\.100\.2, stack dev-berlin\)$", healthy.stdout, re.M)
    assert re.search(r"^  cabin +203\.0\.113\.2:\d+ +\d+ s ago ", healthy.stdout, re.M)

    key = mesh_outputs(deployed)["topology"]["sites"]["cabin"]["publicKeys"][0]
    lab.host_ssh("berlin", f"wg set berlin peer {key} remove")
    changed = deployed.wgnode(["status", "--environment", "dev", "--json"])
    assert changed.returncode == 1, changed.stdout + changed.stderr
    berlin = next(site for site in json.loads(changed.stdout)["sites"] if site["site"] == "berlin")
    assert berlin["problems"] == ["the node has lost its peer cabin"]

    deployed.up("dev-berlin")
    assert lab.ping("berlin.client", CABIN, count=2, deadline=60)
    assert deployed.wgnode(["status", "--stack", "dev-berlin"]).returncode == 0


def test_a_host_that_is_away_is_a_row_and_the_others_answer(lab: Lab, deployed: Deployment) -> None:
    port = lab.inventory["hosts"]["cabin"]["port"]
    deployed.configure("dev-cabin", {"site.host.port": "1"})
    try:
        started = time.monotonic()
        found = deployed.wgnode(["status", "--json"])
        assert time.monotonic() - started < 60
    finally:
        deployed.configure("dev-cabin", {"site.host.port": str(port)})
    assert found.returncode == 1
    assert {site["site"]: site["status"] for site in json.loads(found.stdout)["sites"]} == {
        "berlin": "running",
        "cabin": "away",
    }


def test_lost_state_comes_back_from_the_hosts_without_a_lost_packet(
    lab: Lab, deployed: Deployment, tmp_path: Path
) -> None:
    before, running = mesh_outputs(deployed), starts(lab)
    file = tmp_path / "recovery.json"
    with lab.stream("berlin.client", CABIN, interval=0.1) as stream:
        lose_all_state(deployed)
        refused = deployed.wgnode(["mesh", "recover", "--output", str(file)])
        assert refused.returncode == 1
        assert "no stack named 'dev-cabin' found" in refused.stderr
        assert "`pulumi stack init` makes it anew" in refused.stderr
        for stack in deployed.stacks:
            deployed.pulumi(["stack", "init", stack])

        found = deployed.wgnode(["mesh", "recover", "--output", str(file)])
        assert found.returncode == 0, found.stdout + found.stderr
        assert found.stderr == "", "there is nothing to note"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        command = next(line.split() for line in found.stdout.splitlines() if line.startswith("  pulumi import"))
        deployed.pulumi(command[1:])
        deployed.pulumi(["preview", "--expect-no-changes", "--stack", MESH_STACK])
        for stack in deployed.stacks:
            deployed.up(stack)

    assert stream.received > 100
    assert stream.lost == 0
    assert starts(lab) == running
    assert mesh_outputs(deployed) == before, "the same topology, and bundles that were not even sealed anew"
    for stack in deployed.stacks:
        deployed.pulumi(["preview", "--expect-no-changes", "--stack", stack])
    assert_imported_as_made_by_up(deployed, file)


def assert_imported_as_made_by_up(deployment: Deployment, file: Path) -> None:
    """Protected, under its own id, and every secret of the recovery file encrypted in state."""
    exported = deployment.pulumi(["stack", "export", "--stack", MESH_STACK]).stdout
    resource = next(
        found for found in json.loads(exported)["deployment"]["resources"] if found["type"].endswith(":MeshTopology")
    )
    assert (resource["id"], resource["protect"], resource.get("importID")) == ("mesh", True, None)
    recovered = json.loads(file.read_text())["recovered"]
    secrets = [recovered["mesh_secret"], *(key for keys in recovered["private_keys"].values() for key in keys)]
    assert len(secrets) == 3
    files = [path for path in (deployment.folder / "state").rglob("*") if path.is_file()]
    state = "".join(path.read_text(errors="replace") for path in files)
    assert "ciphertext" in state
    assert not [secret for secret in secrets if secret in state]


def test_after_the_recovery_a_site_is_added_as_usual(deployed: Deployment) -> None:
    before = mesh_outputs(deployed)["topology"]["sites"]
    farm = {"lans[0]": "10.3.0.0/24", "endpoint": "203.0.113.77:51820", "recipient": recipient.generate()[1]}
    deployed.configure(MESH_STACK, {f"mesh.sites.farm.{name}": value for name, value in farm.items()})
    deployed.up(MESH_STACK)
    after = mesh_outputs(deployed)
    assert after["topology"]["sites"].pop("farm")["addresses"][0] == "10.99.0.3"
    assert after["topology"]["sites"] == before
    assert set(after["bundles"]) == {"berlin", "cabin", "farm"}
    deployed.pulumi(["config", "rm", "--path", "wgmesh:mesh.sites.farm", "--stack", MESH_STACK])
    deployed.up(MESH_STACK)
