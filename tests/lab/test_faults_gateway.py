"""A gateway's runner killed at its steps: a running guest, a new one, or none at all (see test_faults_hosts.py)."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from lab.api import Lab
from lab.deployment import IMAGE
from pulumi_wgnode.call.kind import Properties
from pulumi_wgnode.resources.appliance_image import ApplianceImage
from pulumi_wgnode.resources.gateway import Gateway
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.nat_firewall import NatFirewall
from tests.lab.faults import Recorded, Runner, schedule
from tests.lab.trial import Trial, connection, describe, survives
from tests.sample import choose
from wgnode.image import paths
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig

pytestmark = [pytest.mark.lab, pytest.mark.timeout(7200), pytest.mark.in_turn("trouble")]
ROUNDS, LIVE_CHANGES = 1, 3
"""Of a sample: a round boots four guests, and a live change none."""
PRIVATE, CABIN, ROME = (X25519PrivateKey.generate() for _ in range(3))
PRESHARED = secrets.token_bytes(32)
PEER = PeerConfig("cabin", (CABIN.public_key().public_bytes_raw(),), ("10.2.0.0/24",))
JOINED = PeerConfig("rome", (ROME.public_key().public_bytes_raw(),), ("10.3.0.0/24",), "203.0.113.9:51820", 25)
CONFIG = NodeConfig(
    mesh="faults",
    name="berlin",
    public_keys=(PRIVATE.public_key().public_bytes_raw(),),
    listen_port=51820,
    addresses=("10.99.0.1/24",),
    transit=LinkConfig(paths.TRANSIT_MAC, ("172.31.255.254/30",), ("172.31.255.253",)),
    lan=LinkConfig("52:54:00:77:68:01", ("10.1.0.2/24",)),
    peers=(PEER,),
)
SITE = {"id": "3fa9c1d2e4b50607", "mesh": "faults", "name": "berlin"}
SECRETS = NodeSecrets((PRIVATE.private_bytes_raw(),), {PEER.public_keys[0]: (PRESHARED,)})


@pytest.fixture(scope="module")
def image(lab: Lab) -> Iterator[Properties]:
    """On a host that lacks nothing but a gateway."""
    to, runner = {"connection": connection(lab, "berlin")}, Runner(lab)
    owned = {**to, "site": SITE}
    digest = hashlib.sha256(IMAGE.read_bytes()).hexdigest()
    inputs = {
        "HypervisorHost": HypervisorHost().check({**owned, "networks": {"uplink": "wan0", "lanInterface": "lan0"}}, {}),
        "NatFirewall": NatFirewall().check({**owned, "uplink": "wan0", "managementNetworks": ["192.0.2.0/24"]}, {}),
        "ApplianceImage": ApplianceImage().check({**to, "source": str(IMAGE), "sha256": digest}, {}),
    }
    made = {kind: runner.run(kind, "up", None, given).recorded for kind, given in inputs.items()}
    lab.console("berlin", f"rmdir {paths.PLAIN.gateway} {paths.PLAIN.hostd_directory}")  # which go with the gateway
    try:
        yield {"directory": paths.image_directory(digest), "sha256": digest}
    finally:
        gateway = inputs_of_gateway(lab, {"directory": paths.image_directory(digest), "sha256": digest})
        left = Recorded(SITE["id"], gateway, gateway)
        runner.run("Gateway", "destroy", left, gateway)
        for kind in reversed(made):
            runner.run(kind, "destroy", made[kind], inputs[kind])


def inputs_of_gateway(lab: Lab, image: Properties, config: NodeConfig = CONFIG, memory: int = 128) -> Properties:
    given = {
        "connection": connection(lab, "berlin"),
        "site": SITE,
        "image": image,
        "machine": {"memory": memory},
        "config": config.to_json().decode(),
        "secrets": SECRETS.to_json().decode(),
    }
    return Gateway().check(given, {})


@pytest.mark.sampled(1, of="the gateway")
def test_created_replaced_and_deleted(lab: Lab, image: Properties) -> None:
    survives(
        Trial(lab, "berlin", "Gateway", inputs_of_gateway(lab, image), inputs_of_gateway(lab, image, memory=136)),
        ROUNDS,
    )


@pytest.mark.sampled(1, of="the gateway")
def test_changed_while_it_runs(lab: Lab, image: Properties) -> None:
    """From either of two configurations to the other, by the same guest all the time."""
    one, other = inputs_of_gateway(lab, image), inputs_of_gateway(lab, image, replace(CONFIG, peers=(PEER, JOINED)))
    trial = Trial(lab, "berlin", "Gateway", one, other)
    now, snapshots = trial.up(None, one).recorded, (trial.after_create, trial.after_update)
    assert now
    guest = pid_of_guest(lab)
    print("Gateway live", len(trial.updated.steps), "steps")
    for number, fault in enumerate(choose(schedule(trial.updated), LIVE_CHANGES, "a live change")):
        wanted = (other, one)[number % 2]
        trial.runner.killed("Gateway", "up", now, wanted, fault)
        now = trial.up(now, wanted).recorded
        assert now
        trial.same(describe("live change", fault, trial.updated), snapshots[1 - number % 2])
        assert pid_of_guest(lab) == guest, describe("a new guest after a live change", fault, trial.updated)
    trial.destroy(now)
    assert not trial.failures, "\n\n".join(trial.failures)


SOONER = f"/run/systemd/system/{paths.PLAIN.hostd_unit}.d/sooner.conf"


@pytest.mark.sampled(1, of="the gateway")
def test_a_guest_that_stops_reporting_is_started_anew(lab: Lab, image: Properties) -> None:
    """Its process is stopped, so neither it nor its own watchdog does anything; the host's is set to 8 seconds."""
    wanted, runner = inputs_of_gateway(lab, image), Runner(lab)
    made = runner.run("Gateway", "up", None, wanted).recorded
    assert made
    lab.console("berlin", f"mkdir -p $(dirname {SOONER}); printf '[Service]\nWatchdogSec=8\n' > {SOONER}")
    lab.console("berlin", f"systemctl daemon-reload; systemctl restart {paths.PLAIN.hostd_unit}")
    try:
        stopped = pid_of_guest(lab)
        lab.console("berlin", f"kill -STOP {stopped}")
        deadline = time.monotonic() + 120
        while (now := pid_of_guest(lab)) in (stopped, "0"):
            assert time.monotonic() < deadline, "nobody has seen that it is silent"
            time.sleep(0.5)
        health = f"python3 -I {paths.PLAIN.hostd_directory}/*.pyz wait --patience=100 status=running"
        assert '"status": "running"' in lab.console("berlin", health).stdout
        assert pid_of_guest(lab) == now
    finally:
        lab.console("berlin", f"rm -r $(dirname {SOONER}); systemctl daemon-reload")
        runner.run("Gateway", "destroy", made, wanted)


def pid_of_guest(lab: Lab) -> str:
    return lab.console("berlin", f"systemctl show --property=MainPID --value {paths.PLAIN.gateway_unit}").stdout.strip()
