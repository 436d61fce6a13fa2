"""All that a gateway does, by whatever backend, beside one by another: deployed, changed, broken, rebooted, gone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from lab.api import Lab
from lab.deployment import Deployment
from tests.lab.environment import (
    BERLIN,
    CABIN,
    CABIN6,
    HEALTH,
    add_site,
    changed,
    health,
    is_clean,
    peers_of,
    reachable,
    remove_site,
    up_all,
)
from tests.lab.interop import wait_for
from tests.lab.with_libvirt import libvirt
from wgnode.image import backends
from wgnode.image.paths import PLAIN

pytestmark = pytest.mark.lab

# The default last: it is what the lab has at first, and the way back to it is tried so.
# Nanos' parts are brought by its user: test_nanos_boot.py.
EACH = [*(name for name in backends.BUILT if name not in (backends.DEFAULT, "nanos")), backends.DEFAULT]
LEFT = """ip -br link | grep -o '^wgn[^ @]*'; ip netns list; systemctl list-unit-files --no-legend 'wgnode*'
ls -d /var/lib/wgnode/root* /var/lib/wgnode/gateway* /run/wgnode* 2>/dev/null"""
BACK = 120.0
"""Seconds for a host and its gateway to boot, under emulation on a busy machine."""
ROME, ROME_LAN = "192.0.2.99:51820", "10.3.0.0/24"


@pytest.fixture(scope="module")
def lab(deployed: Deployment) -> Lab:
    return deployed.lab


@pytest.fixture(scope="module")
def libvirtd(lab: Lab) -> Iterator[str]:
    """Debian's, on berlin for as long as a gateway there may be its."""
    with libvirt(lab, "berlin") as version:
        print(version)
        yield version


def start(lab: Lab) -> str:
    """Tells one start of berlin's node from another."""
    return str(health(lab, "berlin")["run"])


def started_anew(lab: Lab, before: str) -> bool:
    """Whether the node of another start answers on its host."""
    done = lab.host_ssh("berlin", HEALTH, check=False)
    return done.returncode == 0 and json.loads(done.stdout).get("run") not in (None, before)


def both_ways(lab: Lab) -> bool:
    there = reachable(lab) and reachable(lab, CABIN6)
    return there and lab.ping("cabin.client", BERLIN, count=2, deadline=40)


@pytest.mark.sampled(0)
@pytest.mark.parametrize("backend", EACH)
def test_a_gateway_of_each_backend_talks_to_a_microvm_and_is_all_that_a_gateway_is(
    lab: Lab, deployed: Deployment, backend: str, request: pytest.FixtureRequest
) -> None:
    if backend == "libvirt":
        request.getfixturevalue("libvirtd")
    deployed_as(lab, deployed, backend)
    changes_live(lab, deployed)
    drift_is_mended(lab, deployed)
    if backend == "libvirt":
        what_somebody_does_with_libvirt_is_mended_or_can_not_be(lab, deployed)
    an_operator_looks_into_it_and_starts_it_anew(lab, deployed)
    another_size_replaces_it(lab, deployed)
    a_reboot_brings_it_back(lab, deployed)
    destroyed_it_leaves_nothing(lab, deployed)


def deployed_as(lab: Lab, deployed: Deployment, backend: str) -> None:
    """In place of what is there, which the preview says."""
    deployed.configure("dev-berlin", {"site.gateway.backend": backend})
    said = deployed.pulumi(["preview", "--diff", "--stack", "dev-berlin"])
    assert f"backend {backend} in place of" in said.stdout + said.stderr
    assert "+-wgnode:index:Gateway: (replace)" in said.stdout
    before = health(lab, "berlin")
    deployed.up("dev-berlin")
    found = health(lab, "berlin")
    print(f"backend {backend}: {found['confinement']}, data plane {found['dataplane']}, {found['offloads']}")
    assert found["unconfined"] == []
    assert found["applied"] == before["applied"]
    assert both_ways(lab)
    assert is_clean(deployed, "dev-berlin")


def changes_live(lab: Lab, deployed: Deployment) -> None:
    before = start(lab)
    with lab.stream("berlin.client", CABIN) as pings:
        add_site(deployed, "rome", ROME_LAN, ROME)
        up_all(deployed, "berlin")
        joined = peers_of(lab, "berlin")["rome"]
        remove_site(deployed, "rome")
        up_all(deployed, "berlin")
    assert (pings.lost, start(lab)) == (0, before)
    assert ROME_LAN in joined["allowed_ips"]
    assert "rome" not in peers_of(lab, "berlin")


def drift_is_mended(lab: Lab, deployed: Deployment) -> None:
    """Of the running node, of its unit, and of its card in the LAN."""
    before = start(lab)
    lab.host_ssh("berlin", "wg set berlin fwmark 7")
    assert set(changed(deployed, "dev-berlin")) == {"site-gateway"}
    deployed.up("dev-berlin")
    assert (health(lab, "berlin")["fwmark"], start(lab)) == (0, before)
    lab.host_ssh("berlin", "sed -i s/^OOMScoreAdjust=.*/OOMScoreAdjust=0/ /etc/systemd/system/wgnode-gateway.service")
    assert set(changed(deployed, "dev-berlin")) == {"site-gateway"}
    deployed.up("dev-berlin")
    assert start(lab) != before
    lab.host_ssh("berlin", "ip link del wgnode-lan")
    assert "site-host" in changed(deployed, "dev-berlin")
    deployed.up("dev-berlin")
    assert both_ways(lab)
    assert is_clean(deployed, "dev-berlin")


def what_somebody_does_with_libvirt_is_mended_or_can_not_be(lab: Lab, deployed: Deployment) -> None:
    """A transient domain is neither started by libvirtd itself nor saved with keys in it."""
    before, domain = start(lab), PLAIN.domain
    for command in ("autostart", "managedsave"):
        done = lab.host_ssh("berlin", f"virsh {command} {domain}", check=False)
        assert "transient domain" in done.stderr, done.stdout + done.stderr
    lab.host_ssh("berlin", "systemctl restart libvirtd")
    print(lab.host_ssh("berlin", f"python3 -I {PLAIN.domain_runner} look").stdout)
    assert (changed(deployed, "dev-berlin"), start(lab)) == ({}, before)
    lab.host_ssh("berlin", f"virsh domif-setlink {domain} {PLAIN.lan_tap} down")
    lab.host_ssh("berlin", f"virsh dumpxml --inactive {domain} >/tmp/edited && virsh define /tmp/edited")
    said = deployed.pulumi(["preview", "--diff", "--stack", "dev-berlin"])
    print(said.stdout + said.stderr)
    assert "interface[net1] link has come" in said.stdout + said.stderr
    assert "it is persistent, of what somebody has defined or edited" in said.stdout + said.stderr
    deployed.up("dev-berlin")
    assert start(lab) != before
    assert both_ways(lab)
    assert is_clean(deployed, "dev-berlin")


def an_operator_looks_into_it_and_starts_it_anew(lab: Lab, deployed: Deployment) -> None:
    done = deployed.wgnode(["gateway", "restart", "berlin", "--yes", "--json"])
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"restart: {done.stdout.strip()}")
    assert json.loads(done.stdout)["healthy"]
    told = [json.loads(line) for line in deployed.wgnode(["gateway", "logs", "berlin", "--json"]).stdout.splitlines()]
    assert [one["source"] for one in told if one["text"].startswith("dev/berlin up, port")][-1:] == ["guest"]
    assert "dev/berlin up, port" in deployed.wgnode(["gateway", "console", "berlin", "--since", "2min"]).stdout
    done = deployed.wgnode(["gateway", "top", "berlin", "--once", "--json"])
    assert [flow["peer"] for flow in json.loads(done.stdout)["peers"]] == ["cabin"]
    assert "running" in deployed.wgnode(["status"]).stdout


def another_size_replaces_it(lab: Lab, deployed: Deployment) -> None:
    before = start(lab)
    deployed.configure("dev-berlin", {"site.gateway.memory": "160"})
    said = deployed.pulumi(["preview", "--stack", "dev-berlin"])
    assert "machine.memory is to be 160 MiB instead of 128 MiB" in said.stdout + said.stderr
    deployed.up("dev-berlin")
    assert start(lab) != before
    assert both_ways(lab)
    deployed.pulumi(["config", "rm", "--path", "wgmesh:site.gateway.memory", "--stack", "dev-berlin"])
    deployed.up("dev-berlin")


def a_reboot_brings_it_back(lab: Lab, deployed: Deployment) -> None:
    """The host is asked first: ping ends with "host unreachable", which its LAN hears until the gateway is there."""
    before, began = start(lab), time.monotonic()
    lab.reboot("berlin")
    wait_for(lambda: started_anew(lab, before), "no node after a reboot", BACK)
    print(f"reboot: the node is back {time.monotonic() - began:.1f} s after the command")
    assert both_ways(lab)
    assert is_clean(deployed, "dev-berlin")


def destroyed_it_leaves_nothing(lab: Lab, deployed: Deployment) -> None:
    deployed.pulumi(["destroy", "--yes", "--stack", "dev-berlin"])
    assert lab.host_ssh("berlin", LEFT, check=False).stdout == ""
    deployed.up("dev-berlin")
    # Where cabin is went with berlin, and cabin finds out by what it sends that its session is gone (wp 6.5: 15 s).
    assert lab.ping("cabin.client", BERLIN, count=2, deadline=60)
    assert both_ways(lab)
