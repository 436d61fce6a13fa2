"""The gateway's virtual machine as a QEMU command line. Pure.

No PCI, no firmware to speak of, virtio over MMIO, the kernel entered directly: on amd64 a microvm, by PVH; on arm64
QEMU's `virt`, by its boot protocol.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from wgnode.image.architecture import AMD64, ARM64

QEMU = "/usr/bin/qemu-system-x86_64"
CONTROL_PORT = "org.wgnode.control"
TRANSLATION_CACHE = 64
"""MiB for code that TCG has translated; QEMU's own default is an eighth of the host's memory."""
FIRMWARE = "qboot.rom"
"""Named, because what a microvm starts with otherwise depends on the QEMU: Debian 12's is qboot too, Debian 13's (QEMU
10) is SeaBIOS, which finds no kernel where there are no option ROMs, and waits for ever."""
EMULATED_PROCESSOR = "qemu64,+rdrand"
"""Without AVX: TCG emulates wide vectors so slowly that ChaCha20-Poly1305 takes three times as long with "max"."""
SMALLEST_MEMORY = 128
"""MiB. Of these 39 are the kernel's, 31 the initial file system, 26 the interpreter with the node. Under 64 TCP flows 6
stay free; with 120 it boots and runs out under load, with 116 the initial file system does not fit."""
UDP_SEGMENTATION = "host_uso=on,guest_uso4=on,guest_uso6=on"
"""Of a card: whole trains of datagrams pass between guest and tap, either way, and are cut where they have to be.
QEMU's since 8.2, and beyond the features of the legacy transport; where the host's taps can't, before Linux 6.2, it
leaves them out."""
HARDENED = (
    "lockdown=integrity",
    "proc_mem.force_override=never",
    "debugfs=off",
    "page_alloc.shuffle=1",
    "printk.devkmsg=off",
)
"""Of the guest's kernel, beside what Debian's has by itself: not even root changes it (unsigned modules, /dev/mem,
kexec), no writing past page protection, no debugfs, free pages in random order, no lines in the kernel's log that are
not its own."""
NOT_STARTED = (
    *("crypto_kdf108_init", "jent_mod_init", "init_encrypted", "system_heap_create", "trace_eval_init"),
    *("bpf_tcp_ca_kfunc_init", "bpf_dummy_struct_ops_init", "bpf_prog_test_run_init", "bpf_crypto_skcipher_init"),
    *("bpf_kfunc_init", "bpf_map_iter_init", "bpf_key_sig_kfuncs_init"),
)
SOONER = (f"initcall_blacklist={','.join(NOT_STARTED)}", "cryptomgr.notests=1", "rcupdate.rcu_expedited=1")
"""What Debian's kernel does at each start for others: it tests each of its ciphers, derives keys and gathers jitter for
some, reads the types of all that BPF programs may call, waits for readers of RCU that there are none of. What an
emulated guest gains is in docs/performance.md."""
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True)
class Board:
    """What a machine of an architecture is: QEMU's program and its Debian package, the board, the processor that is
    emulated, the serial console as its kernel calls it, and words for that kernel alone."""

    qemu: str
    package: str
    options: tuple[str, ...]
    processor: str
    console: str
    words: tuple[str, ...]


BOARDS = {
    # Without 32-bit system calls.
    AMD64.name: Board(
        QEMU,
        "qemu-system-x86",
        ("-M", "microvm,rtc=on,x-option-roms=off", "-bios", FIRMWARE),
        EMULATED_PROCESSOR,
        "ttyS0",
        ("random.trust_cpu=on", "ia32_emulation=off"),
    ),
    # Its 32-bit system calls can't be switched off; the filter of the running node ends who makes one (seccomp.py).
    ARM64.name: Board(
        "/usr/bin/qemu-system-aarch64",
        "qemu-system-arm",
        ("-M", "virt,gic-version=3"),
        "cortex-a57",
        "ttyAMA0",
        ("random.trust_bootloader=on",),
    ),
}
"""By architecture."""


@dataclass(frozen=True)
class Nic:
    """A virtio network card on a tap that exists already and belongs to QEMU's user."""

    tap: str
    mac: str


@dataclass(frozen=True)
class Machine:
    """`memory` is in MiB. `console` is "stdio" or a file that the serial console is appended to.

    `tsc_khz` is how fast the host's time stamp counter ticks (`tsc_khz_of`); only TCG needs it, because a guest
    there has no other clock to calibrate by. `vhost` is "on" where the host's kernel moves the cards' packets itself
    (vhost-net, with KVM only), "off" or None otherwise. In a unit both are variables that systemd expands.
    `udp_segmentation` makes its cards virtio 1's that carry it; an older QEMU would not start. `architecture` is the
    image's, as dpkg calls it.
    """

    name: str
    kernel: str
    initrd: str
    nics: tuple[Nic, ...]
    control: str
    memory: int = 128
    cpus: int = 1
    accelerator: Literal["kvm", "tcg"] = "tcg"
    console: str = "stdio"
    tsc_khz: int | str | None = None
    vhost: str | None = None
    udp_segmentation: bool = False
    extra_cmdline: str = ""
    architecture: str = AMD64.name

    @property
    def board(self) -> Board:
        return BOARDS[self.architecture]


def command(machine: Machine) -> list[str]:
    """The arguments, QEMU first. Raises ValueError for a machine that could not run."""
    _check(machine)
    arguments = [machine.board.qemu, "-name", f"wgnode-{machine.name}", "-nodefaults", "-no-user-config", "-no-reboot"]
    arguments += ["-display", "none", "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny"]
    arguments += [*machine.board.options, *_processor(machine)]
    arguments += ["-m", str(machine.memory), "-smp", str(machine.cpus)]
    arguments += ["-kernel", machine.kernel, "-initrd", machine.initrd, "-append", kernel_command_line(machine)]
    arguments += ["-chardev", _console(machine.console), "-serial", "chardev:console"]
    if machine.udp_segmentation:
        arguments += ["-global", "virtio-mmio.force-legacy=false"]
    for number, nic in enumerate(machine.nics):
        arguments += _card(machine, number, nic)
    arguments += ["-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-device,rng=rng0"]
    arguments += ["-device", "virtio-serial-device"]
    arguments += ["-chardev", f"socket,id=control,path={machine.control},server=on,wait=off"]
    return [*arguments, "-device", f"virtserialport,chardev=control,name={CONTROL_PORT}"]


def kernel_command_line(machine: Machine) -> str:
    """A panic or an oops ends the machine: whoever runs it starts a new one."""
    words = [f"console={machine.board.console}", "quiet", "panic=-1", "oops=panic", *machine.board.words]
    words += [*HARDENED, *SOONER]
    if machine.accelerator == "tcg" and machine.architecture == AMD64.name and machine.tsc_khz is not None:
        words.append(f"tsc_early_khz={machine.tsc_khz}")
    return " ".join([*words, *machine.extra_cmdline.split()])


def packages_of(packages: Iterable[str], architecture: str) -> list[str]:
    """The same for a host of an architecture: QEMU's package is another."""
    named = {board.package for board in BOARDS.values()}
    return [BOARDS[architecture].package if name in named else name for name in packages]


def every_package(packages: Iterable[str]) -> list[str]:
    """Of a host whose processor is not known yet."""
    wanted = list(packages)
    return sorted({name for architecture in BOARDS for name in packages_of(wanted, architecture)})


def tsc_khz_of(cpuinfo: str) -> int | None:
    """From /proc/cpuinfo of the host: Linux derives bogomips from the time stamp counter's rate on x86."""
    match = re.search(r"^bogomips\s*:\s*([\d.]+)", cpuinfo, re.MULTILINE)
    return int(float(match[1]) * 500) if match else None


def _check(machine: Machine) -> None:
    if machine.memory < SMALLEST_MEMORY:
        raise ValueError(f"gateway {machine.name!r}: {machine.memory} MiB of memory; {SMALLEST_MEMORY} is the least")
    if machine.cpus < 1:
        raise ValueError(f"gateway {machine.name!r}: {machine.cpus} CPUs; 1 is the least")
    if machine.accelerator == "kvm" and machine.architecture != AMD64.name:
        raise ValueError(f"gateway {machine.name!r}: KVM on {machine.architecture} has not been tried; take tcg")
    for nic in machine.nics:
        if not MAC.fullmatch(nic.mac):
            raise ValueError(f"gateway {machine.name!r}: {nic.mac!r} is no MAC address in lower case")
    paths = (machine.kernel, machine.initrd, machine.control, machine.console, *(nic.tap for nic in machine.nics))
    if bad := [path for path in paths if "," in path]:
        raise ValueError(f"gateway {machine.name!r}: QEMU takes no comma in {bad[0]!r}")


def _card(machine: Machine, number: int, nic: Nic) -> list[str]:
    backend = [f"tap,id=net{number},ifname={nic.tap},script=no,downscript=no"]
    card = [f"virtio-net-device,netdev=net{number},mac={nic.mac}"]
    if machine.vhost:
        backend.append(f"vhost={machine.vhost}")
    if machine.udp_segmentation:
        card.append(UDP_SEGMENTATION)
    return ["-netdev", ",".join(backend), "-device", ",".join(card)]


def _processor(machine: Machine) -> list[str]:
    if machine.accelerator == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    threads = "multi" if machine.cpus > 1 else "single"
    return ["-accel", f"tcg,thread={threads},tb-size={TRANSLATION_CACHE}", "-cpu", machine.board.processor]


def _console(where: str) -> str:
    if where == "stdio":
        return "stdio,id=console,signal=off"
    return f"file,id=console,path={where},append=on"
