"""Whatever step of an operation a runner is killed at, the next one brings the host to where it should be.

The steps are numbered by the code (see faults.py). Of many steps every third is tried here;
`make test-faults` tries each in every way.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import os
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from infra.provider.kind import Properties
from infra.resources.appliance_image import MEMBERS, ApplianceImage
from infra.resources.hypervisor_host import HypervisorHost
from infra.resources.nat_firewall import NatFirewall
from lab.api import Lab
from tests.lab.faults import Done, Fault, Recorded, Runner, schedule

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]
EVERY_WAY = os.environ.get("WGNODE_FAULTS") == "all"

# All that a resource may leave on a host, temporary files and transient units too.
SNAPSHOT = r"""
nft list ruleset; echo; ip -br link | awk '{ print $1, $NF }'; ip -br addr; ip -4 route; ip -6 route
for n in net/ipv4/ip_forward net/ipv4/conf/all/send_redirects net/ipv4/conf/all/forwarding \
    net/ipv6/conf/all/forwarding net/ipv6/conf/wan0/accept_ra; do echo "$n $(cat /proc/sys/$n)"; done
find /etc /var/lib/wgnode /run/wgnode* /run/systemd/transient -xdev ! -name '*-' ! -path /run/systemd/transient \
    -printf '%p %M %u:%g %l\n' 2>/dev/null | sort
find /etc/wgnode /etc/systemd/system /etc/sysctl.d /var/lib/wgnode -xdev -type f -exec sha256sum {} + 2>/dev/null | sort
systemctl list-unit-files 'wgnode*'; systemctl list-units --all --plain 'wgnode*'; getent passwd; getent group
"""


@dataclass
class Trial:
    """One kind on one host of the lab: made by `first`, changed to `second`, removed."""

    lab: Lab
    host: str
    kind: str
    first: Properties
    second: Properties
    drift: str = ""  # run on the host before each update
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runner = Runner(self.lab)
        self.before = self.snapshot()
        self.created = self.up(None, self.first)
        self.after_create = self.snapshot()
        self.lab.console(self.host, self.drift)
        self.updated = self.up(self.created.recorded, self.second)
        self.after_update = self.snapshot()
        self.destroyed = self.destroy(self.updated.recorded)
        self.same("an undisturbed create, update and destroy", self.before)

    def up(self, recorded: Recorded | None, inputs: Properties) -> Done:
        done = self.runner.run(self.kind, "up", recorded, inputs)
        assert done.differs == []
        return done

    def destroy(self, recorded: Recorded | None) -> Done:
        return self.runner.run(self.kind, "destroy", recorded, self.first)

    def round(self, create: Fault | None, update: Fault | None, regret: Fault | None, destroy: Fault | None) -> None:
        """Create, update and destroy, each killed once and then done again; `regret`: destroyed, then wanted again."""
        if create:
            self.runner.killed(self.kind, "up", None, self.first, create)
        created = self.up(None, self.first).recorded
        self.same(describe("create", create, self.created), self.after_create)
        if regret:
            self.runner.killed(self.kind, "destroy", created, self.first, regret)
            created = self.up(created, self.first).recorded
            self.same("an up after " + describe("destroy", regret, self.destroyed), self.after_create)
        if update:
            self.lab.console(self.host, self.drift)
            self.runner.killed(self.kind, "up", created, self.second, update)
            created = self.up(created, self.second).recorded
            self.same(describe("update", update, self.updated), self.after_update)
        if destroy:
            self.runner.killed(self.kind, "destroy", created, self.first, destroy)
        self.destroy(created)
        self.same(describe("destroy", destroy, self.destroyed), self.before)

    def snapshot(self) -> list[str]:
        return self.lab.console(self.host, SNAPSHOT, check=False).stdout.splitlines()

    def same(self, after: str, wanted: list[str]) -> None:
        """A unit that has just been stopped may take systemd a moment to forget."""
        deadline = time.monotonic() + 5
        while (found := self.snapshot()) != wanted and time.monotonic() < deadline:
            time.sleep(0.2)
        if found != wanted:
            difference = difflib.unified_diff(wanted, found, "wanted", "found", n=0, lineterm="")
            self.failures.append("\n".join([after, *difference]))
            assert len(self.failures) < 3, "\n\n".join(self.failures)


def describe(operation: str, fault: Fault | None, done: Done) -> str:
    step = f" killed at step {fault.step} ({done.steps[fault.step - 1][:100]!r}, {fault.how})" if fault else ""
    return operation + step


def sample(done: Done) -> list[Fault]:
    """Every third step, each in another way than the one before; all in all ways where they are few, or asked for."""
    if EVERY_WAY or len(done.steps) < 6:
        return schedule(done)
    by_step: dict[int, list[Fault]] = {}
    for fault in schedule(done):
        by_step.setdefault(fault.step, []).append(fault)
    return [by_step[step][step % len(by_step[step])] for step in sorted(by_step)[::3]]


def survives(trial: Trial) -> None:
    operations = (trial.created, trial.updated, trial.destroyed)
    print(trial.kind, *(f"{len(done.steps)} steps" for done in operations))
    for faults in zip_longest(*map(sample, (trial.created, trial.updated, trial.destroyed, trial.destroyed))):
        trial.round(*faults)
    assert not trial.failures, "\n\n".join(trial.failures)


@pytest.fixture
def connection(lab: Lab) -> Callable[[str], Properties]:
    def make(host: str) -> Properties:
        entry = lab.inventory["hosts"][host]
        key = Path(lab.inventory["ssh_key"]).read_text()
        return {
            "address": entry["address"],
            "port": entry["port"],
            "user": entry["user"],
            "hostKeys": entry["host_keys"],
            "privateKey": key,
        }

    return make


def test_hypervisor_host(lab: Lab, connection: Callable[[str], Properties]) -> None:
    def inputs(to: str, **more: Any) -> Properties:
        via4, via6 = lab.inventory["hosts"]["berlin"]["lan"]["gateway"]
        routes = [{"to": to, "via": via4}, {"to": "fd99::/64", "via": via6}]
        networks = {"uplink": "wan0", "lanInterface": "lan0", "routes": routes, **more}
        return HypervisorHost().check({"connection": connection("berlin"), "networks": networks}, {})

    second = inputs("10.98.0.0/24", transit={"v4": "10.200.0.0/30"})
    survives(Trial(lab, "berlin", "HypervisorHost", inputs("10.99.0.0/24"), second))


def test_nat_firewall(lab: Lab, connection: Callable[[str], Properties]) -> None:
    def inputs(**more: Any) -> Properties:
        given = {"connection": connection("cabin"), "uplink": "wan0", "managementNetworks": ["192.0.2.0/24"]}
        return NatFirewall().check(given | more, {})

    second = inputs(listenPort=51821, allow=[{"protocol": "tcp", "port": 8080, "from": ["192.0.2.0/24"]}])
    lab.console("cabin", "mkdir /etc/wgnode")
    try:
        survives(Trial(lab, "cabin", "NatFirewall", inputs(), second))
    finally:
        lab.console("cabin", "rmdir /etc/wgnode")


def test_appliance_image(lab: Lab, connection: Callable[[str], Properties], image: Path) -> None:
    inputs = {"connection": connection("cabin"), "source": str(image), "sha256": sha256(image)}
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
