"""The gateway as a process: the image's own root, in a namespace that network.sh has made, with hostd at its socket.

What systemd gives the unit is given by hand here (as_service.py). tests/lab/test_backends.py has the whole.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode.hosts.networks.network import Network
from tests.lab.as_service import USER
from tests.lab.held_host import Held, held_host
from tests.lab.interop import Node, run, stop, wait_for
from tests.lab.programs import OURS
from wgnode.hostd import bundle
from wgnode.image import best, layers, unpack
from wgnode.image.archive import read_members
from wgnode.image.paths import TRANSIT_MAC, Paths
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig

pytestmark = pytest.mark.lab

MAC = "52:54:00:01:02:03"
LAUNCHER = Path(__file__).with_name("as_service.py")
HOME = "ip addr add 10.2.0.1/24 dev lan0; sysctl -q -w net.ipv4.ip_forward=1"


@dataclass
class Gateway:
    """What a host has of it, below `folder`."""

    host: Held
    network: Network
    folder: Path
    secrets: NodeSecrets
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("run", "state", "baked"):
            (self.folder / name).mkdir()
        os.chown(self.folder / "run", USER, USER)
        self.folder.chmod(0o755)
        (self.folder / "initramfs.zst").write_bytes(read_members(best.find()).initramfs)
        (self.folder / "hostd.pyz").write_bytes(bundle.build())

    def bake(self, config: NodeConfig) -> None:
        (self.folder / "baked/config.cpio").write_bytes(layers.config_layer(config))
        (self.folder / "baked/secrets.cpio").write_bytes(layers.secrets_layer(self.secrets))

    def _spawn(self, name: str, *command: object) -> subprocess.Popen[bytes]:
        with (self.folder / name).open("ab") as output:
            argv = self.host.argv(*map(str, command))
            made = subprocess.Popen(argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        self.started.append(made)
        return made

    def boot(self) -> subprocess.Popen[bytes]:
        """As its unit does: unpack, then the node in the new root."""
        baked, root = self.folder / "baked", self.folder / "root"
        before = os.umask(0)
        unpack.unpack(root, [self.folder / "initramfs.zst", baked / "config.cpio", baked / "secrets.cpio"], USER)
        os.umask(before)
        inside = ("ip", "netns", "exec", self.network.paths.run_name)
        return self._spawn("console", *inside, sys.executable, LAUNCHER, root, self.folder / "run")

    def hostd(self, *words: str) -> list[str]:
        return ["/usr/bin/python3", "-I", str(self.folder / "hostd.pyz"), *words]

    def accompany(self) -> None:
        places = [f"--{name}={self.folder / folder}" for name, folder in PLACES.items()]
        self._spawn("hostd.log", *self.hostd("run", "--name", "berlin", *places))

    def ask(self, *words: str) -> dict[str, Any]:
        said = subprocess.run(
            [*self.hostd(*words), f"--socket={self.folder}/run/hostd.sock"], capture_output=True, text=True, check=False
        )
        return dict(json.loads(said.stdout)) if said.stdout.strip() else {}

    def running(self) -> dict[str, Any]:
        """Its health, once its node runs."""

        def look() -> dict[str, Any]:
            found = self.ask("health", "--json")
            assert found.get("status") != "failed", found
            return found if found.get("status") == "running" else {}

        return wait_for(look, f"no node runs: {(self.folder / 'console').read_text()}", 60)

    def close(self) -> None:
        for process in reversed(self.started):
            stop(process)


PLACES = {"run-directory": "run", "state": "state", "baked": "baked"}


@pytest.fixture
def network() -> Network:
    paths = Paths(secrets.token_hex(4))
    return Network("wan0", "lan0", ("172.31.255.253/30",), {}, paths, paths.bridge, lan_mac=MAC)


@pytest.fixture
def host(network: Network) -> Iterator[Held]:
    with held_host(network, HOME) as made:
        done = made.script(network)
        assert done.returncode == 0, done.stderr
        yield made


@pytest.fixture
def node(host: Held, tmp_path: Path) -> Iterator[Node]:
    """Another site's, on the host itself."""
    made = Node(host.space, f"wi{secrets.token_hex(3)}", 2, OURS, tmp_path)
    yield made
    made.stop()


def test_the_images_root_is_a_gateway_without_its_kernel(
    host: Held, network: Network, node: Node, tmp_path: Path
) -> None:
    private = run("wg", "genkey").strip()
    public = run("wg", "pubkey", text=private).strip()
    peer = PeerConfig("cabin", (base64.b64decode(node.public_key),), ("10.9.0.2/32",), "172.31.255.253:51820", 1)
    config = NodeConfig(
        "dev",
        "berlin",
        (base64.b64decode(public),),
        51820,
        ("10.9.0.1/24",),
        LinkConfig(TRANSIT_MAC, ("172.31.255.254/30",), ("172.31.255.253",)),
        LinkConfig(MAC, ("10.2.0.2/24",)),
        (peer,),
    )
    node.set("peer", public, "allowed-ips", "10.9.0.1/32,10.2.0.0/24")
    (tmp_path / "gateway").mkdir()
    gateway = Gateway(host, network, tmp_path / "gateway", NodeSecrets((base64.b64decode(private),)))
    try:
        gateway.bake(config)
        process = gateway.boot()
        gateway.accompany()
        health = gateway.running()
        print(health["confinement"], health["dataplane"], health["offloads"], sep="\n")
        assert health["unconfined"] == [], health["confinement"]
        assert health["applied"] == config.digest
        assert 0 <= health["uptime"] < 120, "its own, not the host's"
        wait_for(node.handshake, f"no handshake: {(gateway.folder / 'console').read_text()}", 30)
        assert " 0% packet loss" in host.space.run("ping", "-c", "3", "-i", "0.2", "-W", "5", "10.9.0.1")

        rome = PeerConfig("rome", (b"\5" * 32,), ("10.7.0.0/24",), None)
        gateway.bake(larger := replace(config, peers=(peer, rome), addresses=("10.9.0.1/24", "10.9.0.77/24")))
        assert gateway.ask("apply").get("applied") == larger.digest
        assert "10.7.0.0/24 dev wg0" in inside(host, network, "ip route")
        assert " 0% packet loss" in host.space.run("ping", "-c", "3", "-i", "0.2", "-W", "5", "10.9.0.1")

        met = node.handshake()
        moved = replace(config, lan=LinkConfig(MAC, ("10.2.0.9/24",)))
        gateway.bake(moved)
        assert "restart" in gateway.ask("apply"), "a card's addresses are not changed live"
        stop(process)
        gateway.boot()
        wait_for(lambda: gateway.running()["applied"] == moved.digest, "the new process has the new layers")
        lan = inside(host, network, "ip -4 -o addr show lan")
        assert ("10.2.0.9/24" in lan, "10.2.0.2/24" in lan) == (True, False), "what the former one left is gone"
        wait_for(lambda: node.handshake() > met, "sessions come back, with later time stamps", 30)
    finally:
        gateway.close()


def inside(host: Held, network: Network, command: str) -> str:
    return host.shell(f"ip netns exec {network.paths.run_name} {command}")
