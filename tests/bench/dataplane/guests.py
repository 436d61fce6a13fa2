"""Gateways as microVMs: the appliance's image under QEMU, which runs on KVM where that works."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pulumi_wgnode.hosts.judging import segmentation
from pulumi_wgnode.hosts.judging.facts import PROBE
from tests.bench.dataplane.implementations import Missing
from tests.bench.dataplane.pair import Failed
from tests.lab.guest import Guest, Parts, two_configs, unpack
from tests.lab.interop import Bench, Namespace
from wgnode.image import machine
from wgnode.image.best import build_best
from wgnode.image.errors import ImageError
from wgnode.image.units import VHOST_DEVICE

KVM_MODULES = ("kvm_intel", "kvm_amd")


@dataclass(frozen=True)
class Accelerator:
    """`vhost` is None where there is nothing to decide, without KVM."""

    name: Literal["kvm", "tcg"]
    vhost: Literal["on", "off"] | None

    def __str__(self) -> str:
        if self.name == "tcg":
            return "TCG (software emulation)"
        return f"KVM with the host's CPU, {'with' if self.vhost == 'on' else 'without'} vhost-net"


def accelerator() -> Accelerator:
    """By the rule that hosts are judged by: a module is loaded, and a probe guest starts."""
    loaded = any(Path(f"/sys/module/{name}").is_dir() for name in KVM_MODULES)
    if not loaded or subprocess.run(["sh", "-c", PROBE], capture_output=True, timeout=20, check=False).returncode:
        return Accelerator("tcg", None)
    with suppress(OSError):
        os.close(os.open(VHOST_DEVICE, os.O_RDWR | os.O_CLOEXEC))
        return Accelerator("kvm", "on")
    return Accelerator("kvm", "off")


def carries_trains() -> bool:
    """Whether cards carry UDP segmentation, as hosts are judged."""
    said = subprocess.run([machine.QEMU, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    return bool(segmentation.carried(said.partition(" version ")[2], os.uname().release))


def ensure_image(say: Callable[[str], None]) -> Path:
    """The image, built where it is missing or out of date. Raises Missing where it or QEMU can't be had."""
    if not Path(machine.QEMU).exists():
        raise Missing(f"{machine.QEMU} is not there: install qemu-system-x86")
    try:
        return Path(build_best(renew_if_gone=True, report=say).path)
    except ImageError as error:
        raise Missing(f"the image is not built: {error}") from None


class GuestNode:
    """A guest as one end of a pair. What is measured of its process is measured of QEMU."""

    def __init__(self, guest: Guest, plane: str) -> None:
        self.guest, self.name = guest, f"the guest with the data plane {plane}"
        self.process, self.log = guest.processes[0], guest.directory / "log"

    def handshake(self) -> int:
        """When the last one was, seconds since 1970; 0 for never."""
        (peer,) = self.guest.health()["peers"]
        return int(peer["last_handshake"] or 0)


@dataclass(frozen=True)
class Guests:
    """Starts guests of one image."""

    parts: Parts
    accelerator: Accelerator

    @contextmanager
    def __call__(self, cable: Bench, plane: str) -> Iterator[tuple[GuestNode, ...]]:
        """One in each of the cable's namespaces. Raises AssertionError when it does not come up, or Failed."""
        guests: list[Guest] = []
        try:
            for letter, space, configs in zip("ab", cable.spaces, two_configs(), strict=True):
                plug_in(space, letter)
                directory = cable.directory / letter
                directory.mkdir()
                guest = Guest(self.parts, space.name, letter, *configs, directory, f"WGNODE_DATAPLANE={plane}",
                              self.accelerator.name, self.accelerator.vhost, carries_trains())  # fmt: skip
                guests.append(guest)
                guest.boot()
                guest.start_hostd()
            for guest in guests:
                if (runs := guest.wait_for_status()["dataplane"]) != plane:
                    raise Failed(f"guest {guest.letter} runs on the data plane {runs}")
            yield tuple(GuestNode(guest, plane) for guest in guests)
        finally:
            for guest in guests:
                guest.stop()


def unpacked(image: Path, directory: Path) -> Guests:
    """Ready to start guests of this image, whose files go into `directory`."""
    directory.mkdir()
    return Guests(unpack(image, directory), accelerator())


def plug_in(space: Namespace, letter: str) -> None:
    """Join the guest's cards to the cables that end here, whose own addresses are the guest's now."""
    space.run("ip", "address", "flush", "dev", "veth0")
    for card, cable in (("wan", "veth0"), ("lan", "lan")):
        for words in (
            f"link add br-{card} type bridge",
            f"link set br-{card} up",
            f"tuntap add {card}-{letter} mode tap",
            f"link set {card}-{letter} master br-{card} up",
            f"link set {cable} master br-{card} up",
        ):
            space.run("ip", *words.split())
