"""Whatever step of an operation a runner is killed at, the next one brings the host to where it should be.

The steps are numbered by the code (see faults.py). A run tries some of them, drawn by its seed (tests/sample.py);
`make test-long` tries each in every way.
"""

from __future__ import annotations

import hashlib
import io
import os
import shlex
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.api import Lab
from pulumi_wgnode.call.kind import Properties
from pulumi_wgnode.hosts.networks import network_change
from pulumi_wgnode.resources.appliance_image import MEMBERS, ApplianceImage
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.nat_firewall import NatFirewall
from tests.lab.faults import Fault, Runner
from tests.lab.trial import Trial, connection, snapshot, survives

pytestmark = [pytest.mark.lab, pytest.mark.timeout(7200), pytest.mark.in_turn("trouble")]
ROUNDS = 3
"""Of a sample; one takes about 4 s."""


SITE = {"id": "3fa9c1d2e4b50607", "mesh": "faults", "name": "berlin"}


def host_inputs(lab: Lab, to: str = "10.99.0.0/24", **more: Any) -> Properties:
    via4, via6 = lab.inventory["hosts"]["berlin"]["lan"]["gateway"]
    routes = [{"to": to, "via": via4}, {"to": "fd99::/64", "via": via6}]
    networks = {"uplink": "wan0", "lanInterface": "lan0", "routes": routes, **more}
    return HypervisorHost().check({"connection": connection(lab, "berlin"), "site": SITE, "networks": networks}, {})


def firewall_inputs(lab: Lab, **more: Any) -> Properties:
    given = {"connection": connection(lab, "cabin"), "site": SITE}
    given |= {"uplink": "wan0", "managementNetworks": ["192.0.2.0/24"]}
    return NatFirewall().check(given | more, {})


@pytest.fixture
def folder(lab: Lab) -> Iterator[None]:
    """What the firewall and the image find on a host that has been prepared."""
    lab.console("cabin", "mkdir -p /etc/wgnode /var/lib/wgnode/images; touch /etc/wgnode/network.sh")
    yield
    lab.console("cabin", "rm -r /etc/wgnode /var/lib/wgnode")


@pytest.mark.sampled(1, of="the kinds")
def test_hypervisor_host(lab: Lab) -> None:
    second = host_inputs(lab, "10.98.0.0/24", transit={"v4": "10.200.0.0/30"})
    survives(Trial(lab, "berlin", "HypervisorHost", host_inputs(lab), second), ROUNDS)


@pytest.mark.sampled(1, of="the kinds")
@pytest.mark.usefixtures("folder")
def test_nat_firewall(lab: Lab) -> None:
    allow = [{"protocol": "tcp", "port": 8080, "from": ["192.0.2.0/24"]}]
    second = firewall_inputs(lab, listenPort=51821, allow=allow)
    survives(Trial(lab, "cabin", "NatFirewall", firewall_inputs(lab), second), ROUNDS)


@pytest.mark.sampled(1, of="the kinds")
@pytest.mark.usefixtures("folder")
def test_appliance_image(lab: Lab, image: Path) -> None:
    inputs = {"connection": connection(lab, "cabin"), "source": str(image), "sha256": sha256(image)}
    base = f"/var/lib/wgnode/images/{sha256(image)}"
    drift = f"echo broken >{base}/{MEMBERS[0]}; rm {base}/{MEMBERS[1]}"
    survives(Trial(lab, "cabin", "ApplianceImage", ApplianceImage().check(inputs, {}), inputs, drift), ROUNDS)


@pytest.mark.usefixtures("folder")
def test_a_firewall_that_nobody_confirms_is_taken_back_by_the_host_alone(lab: Lab) -> None:
    unconfirmed = firewall_inputs(lab, managementNetworks=["10.9.9.0/24"])
    left_to_itself(lab, "cabin", "NatFirewall", firewall_inputs(lab), unconfirmed, Fault("nft -f -", "done"))


def test_networks_that_nobody_confirms_are_taken_back_by_the_host_alone(lab: Lab) -> None:
    """Such as that the way back to the runner leads into the LAN."""
    unconfirmed = host_inputs(lab, "192.0.2.0/24")
    left_to_itself(lab, "berlin", "HypervisorHost", host_inputs(lab), unconfirmed, Fault(NETWORK_BEGINS, "sent"))


NETWORK_BEGINS = shlex.join(["sh", "-c", network_change._BEGIN])


def left_to_itself(lab: Lab, host: str, kind: str, good: Properties, bad: Properties, fault: Fault) -> None:
    """Killed when the change is made; nobody comes, the host is as before, and the next `up` finds nothing to do."""
    runner = Runner(lab, undo_after=5)
    made = runner.run(kind, "up", None, good).recorded
    try:
        before = without_undo(lab, host)
        runner.killed(kind, "up", made, bad, fault)
        locked = without_undo(lab, host)
        deadline = time.monotonic() + 60
        while (after := without_undo(lab, host)) != before and time.monotonic() < deadline:
            time.sleep(0.3)
        assert after == before
        assert locked != before, "the change had not been made"
        again = runner.run(kind, "up", made, good)
        assert (again.steps, again.differs) == ([], [])
    finally:
        runner.run(kind, "destroy", made, good)


def without_undo(lab: Lab, host: str) -> list[str]:
    """The record that an undo has run stays until the next change, or the next boot."""
    return [line for line in snapshot(lab, host) if "wgnode-undo" not in line]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """One that no machine would boot, of a size that takes several packets."""
    with tarfile.open(tmp_path / "image.tar", "w") as archive:
        for number, member in enumerate(MEMBERS):
            content = os.urandom(300_000 * (number + 1))
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return tmp_path / "image.tar"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
