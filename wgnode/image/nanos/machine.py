"""The virtual machine that boots Nanos, as a QEMU command line. Pure.

A q35 with a card for each side: ops' own runner can't do two under QEMU. As qemu/qemu_unix.go of nanovms/ops has it: a
PCI root port for each device, the disk by virtio-scsi, the share by 9P. Cards get their names in the order of the bus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wgnode.image.machine import MAC, QEMU, TRANSLATION_CACHE, Nic
from wgnode.image.nanos.manifest import MOUNT_TAG

SMALLEST_MEMORY = 64
"""MiB. A gateway of Python ran in 40 once (docs/decisions/nanos.md); this node has not been measured."""
DISK, TRANSIT, LAN, SHARE, RANDOM = range(1, 6)
"""Root ports, and so the order on the bus."""


@dataclass(frozen=True)
class NanosMachine:
    """`image` is a raw disk, `share` a folder that QEMU's user may write to, of which nothing else may be in.

    `memory` is in MiB; `console` is "stdio" or a file that it is appended to. `nics`: the transit link, the LAN.
    """

    name: str
    image: str
    share: str
    nics: tuple[Nic, Nic]
    memory: int = 128
    cpus: int = 1
    accelerator: Literal["kvm", "tcg"] = "tcg"
    console: str = "stdio"


def command(machine: NanosMachine) -> list[str]:
    """The arguments, QEMU first. Raises ValueError for a machine that could not run."""
    _check(machine)
    arguments = [QEMU, "-name", f"wgnode-{machine.name}", "-nodefaults", "-no-user-config", "-no-reboot"]
    arguments += ["-display", "none", "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny"]
    arguments += ["-M", "q35", *_processor(machine), "-m", str(machine.memory), "-smp", str(machine.cpus)]
    for number in (DISK, TRANSIT, LAN, SHARE, RANDOM):
        arguments += ["-device", _root_port(number)]
    arguments += ["-chardev", _console(machine.console), "-serial", "chardev:console"]
    # What the guest writes to its disk ends with it: nothing of an attacker's stays there.
    arguments += ["-drive", f"if=none,id=disk0,format=raw,snapshot=on,file={machine.image}"]
    arguments += ["-device", f"virtio-scsi-pci,id=scsi0,bus=port{DISK}", "-device", "scsi-hd,bus=scsi0.0,drive=disk0"]
    for port, nic in zip((TRANSIT, LAN), machine.nics, strict=True):
        arguments += ["-netdev", f"tap,id=net{port},ifname={nic.tap},script=no,downscript=no"]
        arguments += ["-device", f"virtio-net-pci,netdev=net{port},mac={nic.mac},bus=port{port}"]
    # Not readonly: Nanos opens every file for writing too, and reads none that it can't open so (src/fs/9p.c).
    arguments += ["-fsdev", f"local,id=share,path={machine.share},security_model=none,multidevs=remap"]
    arguments += ["-device", f"virtio-9p-pci,fsdev=share,mount_tag={MOUNT_TAG},bus=port{SHARE}"]
    arguments += ["-object", "rng-random,id=rng0,filename=/dev/urandom"]
    return [*arguments, "-device", f"virtio-rng-pci,rng=rng0,bus=port{RANDOM}"]


def _check(machine: NanosMachine) -> None:
    if machine.memory < SMALLEST_MEMORY:
        raise ValueError(f"gateway {machine.name!r}: {machine.memory} MiB of memory; {SMALLEST_MEMORY} is the least")
    if machine.cpus < 1:
        raise ValueError(f"gateway {machine.name!r}: {machine.cpus} CPUs; 1 is the least")
    for nic in machine.nics:
        if not MAC.fullmatch(nic.mac):
            raise ValueError(f"gateway {machine.name!r}: {nic.mac!r} is no MAC address in lower case")
    paths = (machine.image, machine.share, machine.console, *(nic.tap for nic in machine.nics))
    if bad := [path for path in paths if "," in path]:
        raise ValueError(f"gateway {machine.name!r}: QEMU takes no comma in {bad[0]!r}")


def _root_port(number: int) -> str:
    first = ",multifunction=on" if number == DISK else ""
    return f"pcie-root-port,id=port{number},bus=pcie.0,chassis={number},addr=0x3.0x{number - 1:x}{first}"


def _processor(machine: NanosMachine) -> list[str]:
    """Under emulation as ops has it: of "max" Nanos is known to boot."""
    if machine.accelerator == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    threads = "multi" if machine.cpus > 1 else "single"
    return ["-accel", f"tcg,thread={threads},tb-size={TRANSLATION_CACHE}", "-cpu", "max"]


def _console(where: str) -> str:
    return "stdio,id=console,signal=off" if where == "stdio" else f"file,id=console,path={where},append=on"
