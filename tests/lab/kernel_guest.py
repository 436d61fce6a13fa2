"""The kernel's own WireGuard in a small guest, as one more program that our node is held against.

    [wgi-XXXXXX-a] veth0 ------- veth0 [wgi-XXXXXX-b] br0 ------- out [wgk-XXXXXX] br0 -- tap0 -- eth0 (guest) wg0
      our node                          a bench's cable                 this module's

The guest boots the appliance's kernel and interpreter with a PID 1 of its own, which runs Python that the test sends
it over the virtio-serial port: one JSON line a call, one an answer.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import signal
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.interop import OUTER_PREFIX, Namespace, Node, stop, wait_for
from wgnode.image import apt, cpio, machine
from wgnode.image.archive import read_members
from wgnode.image.best import build_best
from wgnode.image.build import PROJECT, cache_directory
from wgnode.image.guest_python import BINARY
from wgnode.image.inputs import Inputs
from wgnode.image.kernel import modules_of
from wgnode.image.machine import tsc_khz_of

AGENT = Path(__file__).with_name("kernel_agent.py")
BOOT = 60.0
"""Seconds that the guest may take on a busy machine; it needs about five."""
ANSWER = 60.0
MAC = "52:54:00:00:00:02"


class KernelGuest:
    """A running guest. Raises AssertionError, with the console, when it does not come up."""

    memory = machine.SMALLEST_MEMORY

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.namespace = Namespace(f"wgk-{secrets.token_hex(3)}")
        self._port = socket.socket(socket.AF_UNIX)
        try:
            self._bridge()
            self.process = self.namespace.spawn(*self._qemu(), log=self.directory / "qemu.log")
            self._answers = self._connect().makefile("r")
            self._port.sendall(b"\n")
            assert self._answer() == "ready"
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._port.close()
        self.namespace.close()

    def call(self, function: str, *arguments: Any) -> Any:
        """One of kernel_agent.py's functions, in the guest. Raises AssertionError with its exception."""
        self._port.sendall(json.dumps([function, *arguments]).encode() + b"\n")
        return self._answer()

    def _answer(self) -> Any:
        try:
            line = self._answers.readline()
        except OSError:
            line = ""
        assert line, f"the guest is gone: {self._console()}"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def _bridge(self) -> None:
        for words in (
            ("link", "add", "br0", "type", "bridge"),
            ("tuntap", "add", "name", "tap0", "mode", "tap"),
            ("link", "set", "tap0", "master", "br0", "up"),
            ("link", "set", "br0", "up"),
        ):
            self.namespace.run("ip", *words)

    def _qemu(self) -> list[str]:
        members = read_members(Path(build_best(renew_if_gone=True).path))
        kernel, initrd = self.directory / "vmlinux", self.directory / "initrd"
        kernel.write_bytes(members.vmlinux)
        initrd.write_bytes(members.initramfs + cpio.pack(self.additions(members.description)))
        return machine.command(
            machine.Machine(
                name="kernel",
                kernel=str(kernel),
                initrd=str(initrd),
                nics=(machine.Nic("tap0", MAC),),
                control=str(self.directory / "control.sock"),
                console=str(self.directory / "console"),
                tsc_khz=tsc_khz_of(Path("/proc/cpuinfo").read_text()),
                extra_cmdline="rdinit=/agent",
                memory=self.memory,
            )
        )

    def additions(self, description: Mapping[str, Any]) -> dict[str, cpio.Entry]:
        """The agent as PID 1, the kernel's WireGuard with what it depends on, and this machine's `wg`."""
        wg = shutil.which("wg")
        assert wg is not None
        return {**with_modules(description, "wireguard"), "usr/bin/wg": cpio.file(Path(wg).read_bytes(), 0o755)}

    def _connect(self) -> socket.socket:
        path = self.directory / "control.sock"
        wait_for(path.exists, "QEMU does not start; see qemu.log")
        self._port.settimeout(BOOT)
        self._port.connect(str(path))
        return self._port

    def _console(self) -> str:
        with contextlib.suppress(OSError):
            return (self.directory / "console").read_text(errors="replace")[-2000:]
        return "no console"


def with_modules(description: Mapping[str, Any], *wanted: str) -> dict[str, cpio.Entry]:
    """The agent as PID 1, and modules of the kernel with what they depend on."""
    entries = {"agent": cpio.file(f"#!/{BINARY} -ISBu\n".encode() + AGENT.read_bytes(), 0o755)}
    modules = modules_of(_kernel_package(description), wanted)
    for place, (name, data) in enumerate(modules.items()):
        entries[f"lib/modules/further/{place:02}-{name}.ko"] = cpio.file(data)
    return entries


def _kernel_package(description: Mapping[str, Any]) -> Path:
    """The .deb that the image's kernel came from."""
    name = f"linux-image-{description['kernel']}"
    cache = cache_directory() / "debs"
    for path in cache.glob(f"*/{name}_{description['packages'][name]}_*.deb"):
        return path
    inputs = Inputs.read(PROJECT / "image.lock", PROJECT / "requirements.lock")
    (locked,) = (package for package in inputs.packages if package.name == name)
    return apt.fetch(locked, apt.machine_mirrors(), cache)


@dataclass
class KernelNode(Node):
    """A WireGuard interface of the guest, which looks like any other node. Only one at a time can be had."""

    guest: KernelGuest | None = None

    @property
    def inside(self) -> KernelGuest:
        assert self.guest is not None
        return self.guest

    def start(self) -> None:
        self.attach()
        addresses = [f"{prefix}{self.number}/{length}" for prefix, length in OUTER_PREFIX.values()]
        inner = [f"10.9.0.{self.number}/24", f"fd09::{self.number}/64"]
        self.inside.call("begin", addresses, inner)
        self.set("listen-port", "51820", "private-key", self.file("private", self.private_key))

    def attach(self) -> None:
        """Bridge our end of the bench's cable to the guest."""
        space, cable = self.namespace, f"k{self.interface[2:]}"
        if "br0" in space.run("ip", "-br", "link"):
            return
        space.run("ip", "address", "flush", "dev", "veth0")
        space.run("ip", "link", "add", "br0", "type", "bridge")
        space.run("ip", "link", "add", "out", "type", "veth",
                  "peer", "name", cable, "netns", self.inside.namespace.name)  # fmt: skip
        for end in ("veth0", "out"):
            space.run("ip", "link", "set", end, "master", "br0", "up")
        space.run("ip", "link", "set", "br0", "up")
        self.inside.namespace.run("ip", "link", "set", cable, "master", "br0", "up")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.inside.call("end")
        return 0

    def wg(self, *words: str, check: bool = True) -> str:
        known = ["wg0" if word == self.interface else word for word in words]
        status, output = self.inside.call("run", ["/usr/bin/wg", *known])
        assert not (check and status), output
        return str(output)

    def file(self, name: str, content: str) -> str:
        return str(self.inside.call("write", f"/run/{name}", content + "\n"))

    def pings(self, other: Node, family: int, count: int, interval: float, size: int = 56) -> int:
        return int(self.inside.call("pings", other.inner(family), count, interval, size))

    def change_outer(self, old: str, new: str) -> None:
        self.inside.call("change_outer", f"{old}/24", f"{new}/24")

    def send_datagrams(self, other: Node, count: int, interval: float) -> None:
        self.inside.call("send_datagrams", other.inner(4), 5002, count, interval)

    def send_bytes(self, other: Node, family: int, mebibytes: int) -> str:
        return str(self.inside.call("send_bytes", other.inner(family), 5001, mebibytes))

    def receive_bytes(self, family: int) -> Iterator[str]:
        self.inside.call("listen", self.inner(family), 5001)
        yield ""
        yield str(self.inside.call("received"))

    def ping(self, other: Node, family: int = 4, *options: str) -> bool:
        assert not options
        return self.pings(other, family, 2, 0.2) > 0


@contextlib.contextmanager
def kernel_guest(directory: Path) -> Iterator[KernelGuest]:
    made = KernelGuest(directory)
    try:
        yield made
    finally:
        stop_guest(made)


def stop_guest(guest: KernelGuest) -> None:
    stop(guest.process, signal.SIGKILL)
    guest.close()
