"""A virtual machine of QEMU with Nanos, a unikernel, in place of Linux. Experimental (docs/how-to/nanos.md).

Its host has the parts that the user brings, in `PARTS`; image and share are made of the gateway's layers at each start.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping, Sequence
from typing import ClassVar

from wgnode.image.backends import COMMON_PACKAGES, Cards, Name
from wgnode.image.machine import TRANSLATION_CACHE, Nic
from wgnode.image.nanos import host
from wgnode.image.nanos.machine import NanosMachine, command
from wgnode.image.paths import STATE, TRANSIT_MAC, Paths
from wgnode.image.units import QEMU_OVERHEAD, RESTART_SECONDS, SHARED_SOCKET, GatewayUnit, shell
from wgnode.nanos import fits
from wgnode.nodeconfig import NodeConfig

PARTS = f"{STATE}/nanos"
"""Kernel, boot image, klibs and mkfs, as parts.PLACES has them in one directory."""
BOOT_TIMEOUT = {"kvm": 60.0, "tcg": 180.0}
RUNNER_MEMORY = 192
"""MiB beside QEMU's: Python with the image's 31 MiB of files, and mkfs with them again."""
WARNING = (
    "backend nanos is experimental: no kernel of Nanos has run this node yet. Its guest has no seccomp, no dropped"
    " capabilities, no read-only root and no locked-down kernel (docs/security.md); a microvm has"
)


class Nanos:
    name: Name = "nanos"
    about = "a virtual machine of QEMU with the unikernel Nanos, which is experimental"
    cards: Cards = "tap"
    packages = tuple(sorted((*COMMON_PACKAGES, "qemu-system-x86")))
    accelerated = True
    cannot: ClassVar[Mapping[str, str]] = {
        "architecture": "its machine and the parts of Nanos that it checks are amd64's; take backend microvm",
        "masquerade": "Nanos translates no addresses; choose host-route",
        "proxyArp": "Nanos answers ARP for its own address only; choose host-route",
    }
    warning: str | None = WARNING

    def service(self, unit: GatewayUnit) -> str:
        """wgnode-gateway.service. Parts that are missing or wrong are its last words, and so those of `up`."""
        paths, kvm = unit.paths, unit.accelerator == "kvm"
        memory = unit.memory + QEMU_OVERHEAD + RUNNER_MEMORY + (0 if kvm else TRANSLATION_CACHE)
        return f"""\
[Unit]
Description=wgnode gateway {unit.name}
Requires={paths.network_unit}
After={paths.network_unit} {paths.firewall_unit}
Wants={paths.hostd_unit}
StartLimitIntervalSec=0

[Service]
Type=exec
User={paths.machine_user}
Group={paths.machine_user}
{"SupplementaryGroups=kvm" if kvm else "# Software emulation: no group for /dev/kvm"}
RuntimeDirectory={paths.machine_run_name}
RuntimeDirectoryMode=0750
CacheDirectory={paths.nanos_name}
CacheDirectoryMode=0700
Environment=TMPDIR={paths.nanos_folder}
ExecStartPre=+{shell(layers_script(paths))}
ExecStart={shlex.join(_arguments(unit)).replace("%", "%%").replace("$", "$$")}
Restart=always
RestartSec={RESTART_SECONDS}
KillMode=mixed
TimeoutStopSec=10
SuccessExitStatus=143
OOMScoreAdjust=-500
{SHARED_SOCKET}MemoryMax={memory}M
{"MemoryDenyWriteExecute=yes" if kvm else "# TCG writes the code that it runs: no MemoryDenyWriteExecute"}
# The control channel: Unix to hostd, IPv4 to the guest.
RestrictAddressFamilies=AF_UNIX AF_INET
DevicePolicy=closed
DeviceAllow=/dev/net/tun rw
{"DeviceAllow=/dev/kvm rw" if kvm else ""}
[Install]
WantedBy=multi-user.target
"""

    def programs(self, paths: Paths) -> Mapping[str, tuple[str, bytes]]:
        return {"runner": (paths.nanos_runner, host.program())}

    def boot_timeout(self, unit: GatewayUnit) -> float:
        return BOOT_TIMEOUT[unit.accelerator]

    def same_machine(self, one: str, other: str) -> bool:
        """What it is called makes it no other."""
        return _unnamed(one) == _unnamed(other)

    def misfits(self, config: NodeConfig) -> Sequence[str]:
        return fits.problems(config)


def layers_script(paths: Paths) -> str:
    """The gateway's layers, for QEMU's user to read and nobody else."""
    user, kept = paths.machine_user, shlex.join([paths.config_layer, paths.secrets_layer])
    there = f"mkdir -p {paths.start} && chmod 711 {paths.start}"
    return f"umask 077 && {there} && install -m 400 -o {user} -g {user} {kept} {paths.start}"


def _arguments(unit: GatewayUnit) -> list[str]:
    paths, folder = unit.paths, unit.paths.nanos_folder
    given = [f"{paths.start}/{posixpath.basename(layer)}" for layer in (paths.config_layer, paths.secrets_layer)]
    made = [PARTS, f"{unit.image}/initramfs.zst", *given, folder, paths.control_socket]
    machine = NanosMachine(
        name=unit.name,
        image=host.disk(folder),
        share=host.share(paths.control_socket),
        nics=(Nic(paths.transit_tap, TRANSIT_MAC), Nic(paths.lan_tap, unit.lan_mac)),
        memory=unit.memory,
        cpus=unit.cpus,
        accelerator=unit.accelerator,
    )
    return ["/usr/bin/python3", "-I", paths.nanos_runner, *made, "--", *command(machine)]


def _unnamed(text: str) -> str:
    lines = (line for line in text.splitlines() if not line.startswith("Description="))
    return "\n".join(" ".join(word for word in line.split(" ") if not word.startswith("wgnode-")) for line in lines)
