"""A gateway's guest under QEMU with its hostd, in a network namespace that whoever starts it has made.

What is asked of a gateway goes through hostd, the way it goes on a host.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode.hostd import bundle
from wgnode.image import cpio, layers, machine
from wgnode.image.archive import read_members
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig

BOOT = 120
"""Seconds that a guest may take on a busy machine without KVM; it needs about five when that is quiet."""


@dataclass(frozen=True)
class Parts:
    """Files that all guests of one image share: its kernel, its initial file system, and hostd."""

    vmlinux: Path
    initramfs: Path
    hostd: Path


def unpack(image: Path, directory: Path) -> Parts:
    """Write an image's parts, and hostd, into `directory`."""
    members = read_members(image)
    parts = Parts(directory / "vmlinux", directory / "initramfs", directory / "hostd.pyz")
    parts.vmlinux.write_bytes(members.vmlinux)
    parts.initramfs.write_bytes(members.initramfs)
    parts.hostd.write_bytes(bundle.build())
    return parts


def private_key() -> bytes:
    return secrets.token_bytes(32)


def public_key(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def sh(*command: str, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done


@dataclass
class Guest:
    """On the taps of its letter, `wan-a` and `lan-a`: QEMU and hostd, both running in that namespace.

    `accelerator` and `vhost` as in `machine.Machine`.
    """

    parts: Parts
    namespace: str
    letter: str
    config: NodeConfig
    secrets: NodeSecrets
    directory: Path
    cmdline: str = ""
    """What its kernel is told beside the usual."""
    accelerator: Literal["kvm", "tcg"] = "tcg"
    vhost: str | None = None
    udp_segmentation: bool = False
    memory: int = machine.SMALLEST_MEMORY
    architecture: str = "amd64"
    qemu: Path | None = None
    """Instead of the one that is installed."""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def console(self) -> str:
        file = self.directory / "console"
        return file.read_text(errors="replace") if file.exists() else ""

    def boot(self, damaged: bytes | None = None) -> None:
        """`damaged` is a configuration to boot with instead; without a valid one no card is ever looked at."""
        layer = cpio.pack({layers.CONFIG_PATH: cpio.file(damaged)}) if damaged else layers.config_layer(self.config)
        nics = (
            machine.Nic(f"wan-{self.letter}", self.config.transit.mac),
            machine.Nic(f"lan-{self.letter}", self.config.lan.mac),
        )
        parts = [self.parts.initramfs.read_bytes(), layer, layers.secrets_layer(self.secrets)]
        initrd = self.directory / "initrd"
        initrd.touch(mode=0o600)
        initrd.write_bytes(b"".join(parts))
        qemu = machine.command(
            machine.Machine(
                name=self.letter,
                kernel=str(self.parts.vmlinux),
                initrd=str(initrd),
                nics=() if damaged else nics,
                control=str(self.directory / "control.sock"),
                console=str(self.directory / "console"),
                accelerator=self.accelerator,
                tsc_khz=machine.tsc_khz_of(Path("/proc/cpuinfo").read_text()),
                vhost=self.vhost,
                udp_segmentation=self.udp_segmentation,
                memory=self.memory,
                extra_cmdline=self.cmdline,
                architecture=self.architecture,
            )
        )
        self.run([str(self.qemu or qemu[0]), *qemu[1:]])

    def start_hostd(self) -> None:
        """It knows the guest's peers by the layer on the host's disk."""
        layer = self.directory / "config.cpio"
        layer.write_bytes(layers.config_layer(self.config))
        arguments = ["run", "--name", self.letter, "--baked", str(self.directory)]
        arguments += ["--run-directory", str(self.directory), "--state", str(self.directory)]
        self.run([sys.executable, "-I", str(self.parts.hostd), *arguments])

    def run(self, command: list[str]) -> None:
        with open(self.directory / "log", "ab") as log:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.processes.append(process)

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait(10)
        self.processes.clear()

    def health(self, check: bool = True) -> dict[str, Any]:
        arguments = ["health", "--json", "--socket", str(self.directory / "hostd.sock")]
        answer = sh(sys.executable, "-I", str(self.parts.hostd), *arguments, check=check)
        return json.loads(answer.stdout) if answer.stdout else {}

    def wait_for_status(self, status: str = "running", limit: float = BOOT) -> dict[str, Any]:
        """The first health that has it, within `limit` seconds."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            if (health := self.health(check=False)).get("status") == status:
                return health
            time.sleep(0.3)
        raise AssertionError(
            f"guest {self.letter} did not come up:\n{self.console}\n{(self.directory / 'log').read_text()}"
        )


def two_configs() -> tuple[tuple[NodeConfig, NodeSecrets], tuple[NodeConfig, NodeSecrets]]:
    """Guest a has an address that b knows by a name; b has none that a knows."""
    keys = {letter: private_key() for letter in "ab"}
    preshared = secrets.token_bytes(32)

    def config(letter: str, other: str, number: int, endpoint: str | None) -> tuple[NodeConfig, NodeSecrets]:
        other_number = 3 - number
        peer = PeerConfig(
            other,
            (public_key(keys[other]),),
            (f"10.{other_number}.0.0/24", f"fd00:10:{other_number}::/64", f"10.77.0.{other_number}/32"),
            endpoint,
            1 if endpoint else 0,
        )
        node = NodeConfig(
            mesh="test",
            name=letter,
            public_keys=(public_key(keys[letter]),),
            listen_port=51820,
            addresses=(f"10.77.0.{number}/32",),
            transit=LinkConfig(f"52:54:00:77:67:0{number}", (f"192.0.2.{number}/24",), ("192.0.2.254",)),
            lan=LinkConfig(f"52:54:00:77:68:0{number}", (f"10.{number}.0.2/24", f"fd00:10:{number}::2/64")),
            peers=(peer,),
        )
        return node, NodeSecrets((keys[letter],), {peer.public_keys[0]: (preshared,)})

    return config("a", "b", 1, None), config("b", "a", 2, "192.0.2.1:51820")
