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
from tests.lab.environment import CABIN, SITES, add_site, deployed_in, reachable, remove_site

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900), pytest.mark.in_turn("trouble")]

UNITS = "wgnode-gateway.service wgnode-hostd.service wgnode-network.service"


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Iterator[Deployment]:
    """The demo environment, deployed once for this module; every test leaves it working."""
    with deployed_in(lab) as deployment:
        yield deployment


def status(deployment: Deployment, *arguments: str, code: int) -> str:
    """What `wgnode status` says once it ends with `code`; on a busy machine a host may miss its 10 s at first."""
    deadline = time.monotonic() + 90
    while (done := deployment.wgnode(["status", *arguments])).returncode != code and time.monotonic() < deadline:
        time.sleep(1)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


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


def test_status_is_healthy_and_names_what_somebody_changed_on_a_host_and_in_its_running_node(
    lab: Lab, deployed: Deployment, capfd: pytest.CaptureFixture[str]
) -> None:
    assert reachable(lab)
    healthy = status(deployed, code=0)
    demo._status(lab, argparse.Namespace())
    assert "stack dev-cabin)" in capfd.readouterr().out, "the demo's table is this one"
    assert re.search(r"^berlin: running, up .* \(root@198\.51\.100\.2, stack dev-berlin\)$", healthy, re.M)
    assert re.search(r"^  cabin +203\.0\.113\.2:\d+ +\d+ s ago ", healthy, re.M)

    assert healthy.count("  host, firewall, image, gateway as wanted\n") == 2

    key = mesh_outputs(deployed)["topology"]["sites"]["cabin"]["publicKeys"][0]
    lab.host_ssh("berlin", f"wg set berlin peer {key} allowed-ips 10.99.0.2/32")
    lab.host_ssh("berlin", "nft flush ruleset; ip link set lan0 nomaster; systemctl disable --quiet wgnode-network")
    berlin, cabin = json.loads(status(deployed, "--environment", "dev", "--json", code=1))["sites"]
    assert berlin["status"] == "running"
    assert all(part["state"] in ("as wanted", "unread") for part in cabin["parts"]), cabin["problems"]
    assert {part["name"]: part["state"] for part in berlin["parts"]} == {
        "host": "differs",
        "firewall": "differs",
        "image": "as wanted",
        "gateway": "differs",
    }
    told = "\n".join(berlin["problems"])
    for problem in (
        r"host: link lan0 is up.* instead of ",
        r"host: service wgnode-network.service is active, disabled instead of active, enabled",
        r"firewall: none of its \d+ rules is there",
        r"gateway: peer cabin allowedIPs is 10\.99\.0\.2/32 instead of ",
    ):
        assert re.search(f"^{problem}", told, re.M), told

    deployed.up("dev-berlin")
    assert reachable(lab)
    status(deployed, "--stack", "dev-berlin", code=0)

    lab.host_ssh("cabin", "ip link del wgnode-br0")
    without_bridge = status(deployed, "--stack", "dev-cabin", code=1)
    assert re.search(r"^cabin: running, ", without_bridge, re.M)
    assert re.search(r"^  ! host: .*\bwgnode-br0\b.* missing$", without_bridge, re.M), without_bridge
    deployed.up("dev-cabin")
    assert reachable(lab)
    status(deployed, "--stack", "dev-cabin", code=0)


def test_a_host_that_is_away_is_a_row_and_the_others_answer(lab: Lab, deployed: Deployment) -> None:
    port = lab.inventory["hosts"]["cabin"]["port"]
    deployed.configure("dev-cabin", {"site.host.port": "1"})
    try:
        found = json.loads(status(deployed, "--json", code=1))
    finally:
        deployed.configure("dev-cabin", {"site.host.port": str(port)})
    assert {site["site"]: site["status"] for site in found["sites"]} == {"berlin": "running", "cabin": "away"}


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
    add_site(deployed, "farm", "10.3.0.0/24", "203.0.113.77:51820")
    deployed.up(MESH_STACK)
    after = mesh_outputs(deployed)
    assert after["topology"]["sites"].pop("farm")["addresses"][0] == "10.99.0.3"
    assert after["topology"]["sites"] == before
    assert set(after["bundles"]) == {"berlin", "cabin", "farm"}
    remove_site(deployed, "farm")
    deployed.up(MESH_STACK)
