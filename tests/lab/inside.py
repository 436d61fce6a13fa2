"""A debug image, which is the shipped one and one file more, and the host that its guest attacks, in namespaces.

    internet -- up0 [host: our firewall] wan-a -- guest -- lan-a -- br-a -- lan client
                                         wan-o -- another gateway

The file is an archive of Python modules where the interpreter looks first and the shipped image has none, so that what
is in it is imported in the place of a module of the interpreter's.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import zstandard

from tests.lab.guest import BOOT, Guest, Parts, private_key, public_key, sh
from wgnode.firewall import nft
from wgnode.firewall.rules import Firewall, ruleset
from wgnode.hostd import bundle
from wgnode.image import compared, cpio
from wgnode.image.archive import Members
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig

PLACE = "usr/lib/python313.zip"
ATTACKER = {"traceback.py": "attacker.py", "attempts.py": "attempts.py"}
FACTS = {"traceback.py": "facts_inside.py", "facts.py": "facts.py"}
SPACES = ("host", "internet", "lan", "other")
TRANSIT, GUEST = "172.31.255.253", "172.31.255.254"
HOST_MAC = "02:00:00:00:00:01"  # what attacker.py sends to
MEMORY = 256  # MiB: beside the node there are attempts
SIGNAL = 4000  # where its guest waits for the last attempt

SNIFF = """import socket, sys
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
print("ready", flush=True)
while True:
    data = raw.recv(4096)
    if b"attempt " in data: print(data.partition(b"attempt ")[2].decode(errors="replace"), flush=True)"""
LISTEN = """import socket
each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); each.bind(("", 5555))
print("ready", flush=True)
while True: print(each.recv(4096).decode().removeprefix("attempt "), flush=True)"""


def debug_image(shipped: Members, with_modules: Mapping[str, str] = ATTACKER) -> Members:
    """The same layers, and one file more in the initial file system: these modules, made of files beside this one."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as modules:
        for name, file in with_modules.items():
            modules.writestr(name, Path(__file__).with_name(file).read_bytes())
    entries = {**dict(compared.files(shipped)), PLACE: cpio.file(archive.getvalue())}
    packed = zstandard.ZstdCompressor(level=1).compress(cpio.pack(entries))
    return replace(shipped, initramfs=packed + bytes(-len(packed) % 512))


def configuration() -> tuple[NodeConfig, NodeSecrets]:
    own, other = private_key(), private_key()
    node = NodeConfig(
        mesh="test",
        name="a",
        public_keys=(public_key(own),),
        listen_port=51820,
        addresses=("10.77.0.1/32",),
        transit=LinkConfig("52:54:00:77:67:01", (f"{GUEST}/30",), (TRANSIT,)),
        lan=LinkConfig("52:54:00:77:68:01", ("10.1.0.2/24",)),
        peers=(PeerConfig("b", (public_key(other),), ("10.2.0.0/24",), "192.0.2.10:51820"),),
    )
    return node, NodeSecrets((own,), {public_key(other): (secrets.token_bytes(32),)})


@dataclass
class AttackedHost:
    """Whoever makes one calls `down`."""

    directory: Path
    members: Members
    prefix: str = field(default_factory=lambda: f"wga{os.getpid()}-{secrets.token_hex(2)}")
    listeners: list[subprocess.Popen[bytes]] = field(default_factory=list)
    guest: Guest | None = None

    def space(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def up(self) -> None:
        for name in SPACES:
            sh("ip", "netns", "add", self.space(name))
            self.inside(name, "ip link set lo up")
        self.inside(
            "host",
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0",
            "ip tuntap add wan-a mode tap",
            f"ip link set wan-a address {HOST_MAC} up",
            f"ip addr add {TRANSIT}/30 dev wan-a",
            "ip link add br-a type bridge",
            "ip link set br-a up",
            "ip addr add 10.1.0.1/24 dev br-a",
            "ip tuntap add lan-a mode tap",
            "ip link set lan-a master br-a up",
        )
        for name, link, address, other in (
            ("internet", "up0", "192.0.2.1/24", "192.0.2.10/24"),
            ("other", "wan-o", "172.31.255.249/30", "172.31.255.250/30"),
            ("lan", "lan-c", "", "10.1.0.100/24"),
        ):
            self.inside("host", f"ip link add {link} type veth peer name eth0 netns {self.space(name)}")
            self.inside("host", f"ip addr add {address} dev {link}" if address else f"ip link set {link} master br-a")
            self.inside("host", f"ip link set {link} up")
            self.inside(name, "ip link set eth0 up", f"ip addr add {other} dev eth0")
        self._firewall()
        for name in SPACES:
            self._listen(name, LISTEN if name == "host" else SNIFF)

    def _firewall(self) -> None:
        transit = ip_network(f"{TRANSIT}/30", strict=False)
        wanted = Firewall("up0", (transit,), (GUEST,), 51820, (), transit_interface="wan-a")
        text = nft.script(ruleset(wanted))
        command = ["ip", "netns", "exec", self.space("host"), "nft", "-f", "-"]
        subprocess.run(command, input=text, text=True, check=True, timeout=60)

    def _listen(self, name: str, program: str) -> None:
        command = ["ip", "netns", "exec", self.space(name), sys.executable, "-c", program]
        said = self.directory / f"seen-{name}"
        with said.open("wb") as file:
            self.listeners.append(subprocess.Popen(command, stdout=file))
        assert waits_for(lambda: said.read_text().startswith("ready\n"), BOOT)

    def boot(self, cmdline: str = "") -> Guest:
        """Once more, with the hostd of the first boot."""
        if self.guest is None:
            parts = Parts(self.directory / "vmlinux", self.directory / "initramfs", self.directory / "hostd.pyz")
            parts.vmlinux.write_bytes(self.members.vmlinux)
            parts.initramfs.write_bytes(self.members.initramfs)
            parts.hostd.write_bytes(bundle.build())
            self.guest = Guest(parts, self.space("host"), "a", *configuration(), self.directory, memory=MEMORY)
            self.guest.start_hostd()
        self.guest.cmdline = cmdline
        self.guest.boot()
        return self.guest

    def inside(self, name: str, *commands: str) -> None:
        for command in commands:
            sh("ip", "netns", "exec", self.space(name), *command.split())

    def seen(self) -> dict[str, set[str]]:
        """What came where."""
        return {name: set((self.directory / f"seen-{name}").read_text().splitlines()[1:]) for name in SPACES}

    def signal(self) -> None:
        send = f"import socket; socket.socket(2, 2).sendto(b'x', ({GUEST!r}, {SIGNAL}))"
        sh("ip", "netns", "exec", self.space("host"), sys.executable, "-c", send)

    def down(self) -> None:
        if self.guest is not None:
            self.guest.stop()
        for listener in self.listeners:
            listener.kill()
            listener.wait(10)
        for name in SPACES:
            sh("ip", "netns", "del", self.space(name), check=False)


def told(console: str) -> list[dict[str, Any]]:
    """What the attacker said. A kernel's line may stand in the middle of one of its own only between lines."""
    return [json.loads(line[7:]) for line in console.splitlines() if line.startswith("ATTACK {") and line.endswith("}")]


def ended(process: subprocess.Popen[bytes], limit: float) -> bool:
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        return False
    return True


def waits_for(what: Callable[[], object], limit: float) -> bool:
    deadline = time.monotonic() + limit
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
