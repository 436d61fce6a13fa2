"""Whatever step of an operation a runner is killed at, the next one brings the host to where it should be.

The steps are numbered by the code (see faults.py). Of many steps every third is tried here; `make test-faults` tries
each in every way.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from infra.provider.kind import Properties
from infra.resources.appliance_image import MEMBERS, ApplianceImage
from infra.resources.hypervisor_host import HypervisorHost
from infra.resources.nat_firewall import NatFirewall
from lab.api import Lab
from tests.lab.trial import Trial, connection, survives

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]


def test_hypervisor_host(lab: Lab) -> None:
    def inputs(to: str, **more: Any) -> Properties:
        via4, via6 = lab.inventory["hosts"]["berlin"]["lan"]["gateway"]
        routes = [{"to": to, "via": via4}, {"to": "fd99::/64", "via": via6}]
        networks = {"uplink": "wan0", "lanInterface": "lan0", "routes": routes, **more}
        return HypervisorHost().check({"connection": connection(lab, "berlin"), "networks": networks}, {})

    second = inputs("10.98.0.0/24", transit={"v4": "10.200.0.0/30"})
    survives(Trial(lab, "berlin", "HypervisorHost", inputs("10.99.0.0/24"), second))


def test_nat_firewall(lab: Lab) -> None:
    def inputs(**more: Any) -> Properties:
        given = {"connection": connection(lab, "cabin"), "uplink": "wan0", "managementNetworks": ["192.0.2.0/24"]}
        return NatFirewall().check(given | more, {})

    second = inputs(listenPort=51821, allow=[{"protocol": "tcp", "port": 8080, "from": ["192.0.2.0/24"]}])
    lab.console("cabin", "mkdir /etc/wgnode")
    try:
        survives(Trial(lab, "cabin", "NatFirewall", inputs(), second))
    finally:
        lab.console("cabin", "rmdir /etc/wgnode")


def test_appliance_image(lab: Lab, image: Path) -> None:
    inputs = {"connection": connection(lab, "cabin"), "source": str(image), "sha256": sha256(image)}
    base = f"/var/lib/wgnode/images/{sha256(image)}"
    lab.console("cabin", "mkdir -p /var/lib/wgnode/images")
    try:
        drift = f"echo broken >{base}/{MEMBERS[0]}; rm {base}/{MEMBERS[1]}"
        survives(Trial(lab, "cabin", "ApplianceImage", ApplianceImage().check(inputs, {}), inputs, drift))
    finally:
        lab.console("cabin", "rm -rf /var/lib/wgnode")


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
