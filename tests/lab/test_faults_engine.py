"""The demo's sites under failure, by the real engine: whatever ends in the middle, the next `up` goes on from there."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from lab.api import Lab
from lab.deployment import Deployment
from tests.lab.killing import UP, interrupted, kill
from tests.sample import choose

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(900),
    pytest.mark.in_turn("trouble"),
    pytest.mark.sampled(1, of="the file"),
]
SITES = ("berlin", "cabin")
CABIN = "10.2.0.100"
GATEWAY, HOSTD = "wgnode-gateway.service", "wgnode-hostd.service"
PATIENCE = 240.0
"""Seconds for a gateway to come back by itself on a busy machine."""


@pytest.fixture(scope="module")
def lab(deployed: Deployment) -> Lab:
    return deployed.lab


def converges(deployment: Deployment, *stacks: str) -> None:
    """One `up` of each, after which nothing is left to do and packets pass."""
    for stack in stacks:
        deployment.up(stack)
    for stack in stacks:
        deployment.pulumi(["preview", "--expect-no-changes", "--stack", stack])
    assert comes_back(deployment.lab)


def comes_back(lab: Lab) -> bool:
    """Packets pass; an answer that there is no way does not end the waiting."""
    until(lambda: lab.ping("berlin.client", CABIN, count=2), "no packet passes")
    return True


def main_pid(lab: Lab, site: str, unit: str = GATEWAY) -> str:
    return lab.console(site, f"systemctl show --property=MainPID --value {unit}").stdout.strip()


def console_of_guest(lab: Lab, site: str) -> str:
    """Since its last start; the kernel shows a damaged archive's names as they are."""
    now = f"_SYSTEMD_INVOCATION_ID=$(systemctl show --property=InvocationID --value {GATEWAY})"
    return lab.console(site, f"journalctl --no-pager -o cat {now}", errors="backslashreplace").stdout


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


def test_a_killed_guest_comes_back_by_itself(lab: Lab, deployed: Deployment) -> None:
    assert comes_back(lab)
    before = main_pid(lab, "berlin")
    with lab.stream("berlin.client", CABIN) as stream:
        lab.console("berlin", f"kill -KILL {before}")
        until(lambda: main_pid(lab, "berlin") not in ("0", before), "systemd did not start the guest again")
        assert comes_back(lab)
    print(f"guest killed: back after {stream.longest_gap:.1f} s")
    assert stream.longest_gap > 1, "the guest was not away"
    converges(deployed, "dev-berlin")


def test_a_killed_hostd_costs_no_packet_and_comes_back_by_itself(lab: Lab, deployed: Deployment) -> None:
    guest, before = main_pid(lab, "berlin"), main_pid(lab, "berlin", HOSTD)
    with lab.stream("berlin.client", CABIN) as stream:
        lab.console("berlin", f"kill -KILL {before}")
        until(lambda: main_pid(lab, "berlin", HOSTD) not in ("0", before), "systemd did not start hostd again")
        until(lambda: lab.console("berlin", "wg show berlin", check=False).returncode == 0, "hostd serves nobody")
    assert (stream.lost, main_pid(lab, "berlin")) == (0, guest)
    deployed.pulumi(["preview", "--expect-no-changes", "--stack", "dev-berlin"])


@pytest.mark.sampled(1)
@pytest.mark.parametrize("damage", ["half", "flipped"])
@pytest.mark.parametrize("layer", ["config", "secrets"])
def test_a_damaged_layer_is_named_on_the_console_and_mended(
    lab: Lab, deployed: Deployment, layer: str, damage: str
) -> None:
    file = f"/var/lib/wgnode/gateway/{layer}.cpio"
    damages = {"half": f"truncate -s $(($(stat -c %s {file}) / 2)) {file}", "flipped": FLIP.format(file=file)}
    lab.console("berlin", f"{damages[damage]}; systemctl restart {GATEWAY}")
    said = "error: the node does not run: node " + ("configuration" if layer == "config" else "secrets")
    until(lambda: said in console_of_guest(lab, "berlin"), "the console is silent")
    assert f"~ {layer}" in deployed.pulumi(["preview", "--diff", "--stack", "dev-berlin"]).stdout
    converges(deployed, "dev-berlin")


# Every 16th byte of the second half, so of what is stored and not only of names.
FLIP = """python3 -c 'd = bytearray(open("{file}", "rb").read())
for i in range(len(d) // 2, len(d), 16): d[i] ^= 0xff
open("{file}", "wb").write(d)'"""


@pytest.mark.sampled
@pytest.mark.timeout(3600)
def test_engine_and_plugin_killed_in_the_middle(lab: Lab, deployed: Deployment) -> None:
    """At a resource's beginning, or up to a second after it."""
    kinds = ("HypervisorHost", "NatFirewall", "ApplianceImage", "Gateway")
    moments = [(kind, after) for kind in kinds for after in (0.0, 0.3, 0.6, 0.9)]
    for kind, after in choose(moments, 1, "engine and plugin"):
        print(f"{after:g} s after {kind}")
        deployed.pulumi(["destroy", "--yes", "--stack", "dev-cabin"])
        said = interrupted(
            deployed,
            (*UP, "dev-cabin"),
            lambda line, kind=kind: f"wgnode:index:{kind}" in line,
            lambda pid, after=after: (time.sleep(after), kill(pid)),
        )
        print(said[-400:])
        locked = deployed.pulumi(["up", "--yes", "--skip-preview", "--stack", "dev-cabin"], check=False)
        assert "pulumi cancel" in locked.stdout + locked.stderr
        deployed.pulumi(["cancel", "--yes", "--stack", "dev-cabin"])
    converges(deployed, "dev-cabin")


def test_ctrl_c_in_the_middle(lab: Lab, deployed: Deployment) -> None:
    deployed.configure("dev-cabin", {"site.gateway.memory": "136"})
    said = interrupted(
        deployed,
        (*UP, "dev-cabin"),
        lambda line: "Gateway" in line and "updating" in line,
        lambda pid: os.kill(pid, signal.SIGINT),
    )
    print(said[-1500:])
    converges(deployed, "dev-cabin")
    deployed.configure("dev-cabin", {"site.gateway.memory": "128"})


def test_a_gateway_half_made_is_kept_in_state_and_finished_later(lab: Lab, deployed: Deployment) -> None:
    stack = ["--stack", "dev-cabin"]
    deployed.pulumi(["destroy", "--yes", "--target", "**site-gateway", *stack])
    lab.console("cabin", "mv /usr/bin/qemu-system-x86_64 /usr/bin/qemu-away")
    try:
        failed = deployed.pulumi(["up", "--yes", "--skip-preview", *stack], check=False)
    finally:
        lab.console("cabin", "mv /usr/bin/qemu-away /usr/bin/qemu-system-x86_64")
    assert failed.returncode != 0
    assert "qemu-system-x86_64" in failed.stdout + failed.stderr, "the error has what the host says of it"
    resources = json.loads(deployed.pulumi(["stack", "export", *stack]).stdout)["deployment"]["resources"]
    kept = next(one for one in resources if one["urn"].endswith("site-gateway"))
    assert kept["initErrors"]
    assert kept["id"] == kept["inputs"]["site"]["id"]
    converges(deployed, "dev-cabin")


def test_an_old_state_is_brought_up_to_the_configuration_without_harm(lab: Lab, deployed: Deployment) -> None:
    old = {stack: deployed.pulumi(["stack", "export", "--stack", stack]).stdout for stack in deployed.stacks}
    deployed.configure("dev-mesh", {"mesh.listenPort": "51821", "mesh.sites.berlin.endpoint": "198.51.100.2:51821"})
    deployed.configure("dev-berlin", {"site.gateway.memory": "136"})
    try:
        converges(deployed, *deployed.stacks)
        guests = [main_pid(lab, site) for site in SITES]
        for stack, state in old.items():
            deployed.pulumi(["stack", "import", "--stack", stack], input=state)
        with lab.stream("berlin.client", CABIN) as stream:
            converges(deployed, *deployed.stacks)
        assert (stream.lost, [main_pid(lab, site) for site in SITES]) == (0, guests)
    finally:
        deployed.configure("dev-mesh", {"mesh.listenPort": "51820", "mesh.sites.berlin.endpoint": "198.51.100.2:51820"})
        deployed.configure("dev-berlin", {"site.gateway.memory": "128"})
    converges(deployed, *deployed.stacks)


def test_a_host_rebooted_in_the_middle_of_an_up_and_afterwards(lab: Lab, deployed: Deployment) -> None:
    deployed.configure("dev-berlin", {"site.gateway.memory": "136"})
    said = interrupted(
        deployed,
        (*UP, "dev-berlin"),
        lambda line: "Gateway" in line and "updating" in line,
        lambda pid: lab.reboot("berlin"),
    )
    print(said[-2000:])
    converges(deployed, "dev-berlin")
    lab.reboot("berlin")
    started = time.monotonic()
    assert comes_back(lab)
    print(f"host rebooted: packets pass {time.monotonic() - started:.1f} s after its SSH")
    deployed.pulumi(["preview", "--expect-no-changes", "--stack", "dev-berlin"])
    deployed.configure("dev-berlin", {"site.gateway.memory": "128"})


def test_a_host_that_lost_power_comes_back_by_itself(lab: Lab, deployed: Deployment) -> None:
    lab.power_cut("berlin")
    assert not lab.ping("berlin.client", CABIN, deadline=1)
    lab.up()
    started = time.monotonic()
    assert comes_back(lab)
    print(f"power back: packets pass {time.monotonic() - started:.1f} s after its SSH")
    converges(deployed, "dev-berlin")
