"""A virtual machine that the host's libvirt runs, for hosts whose guests are all libvirt's.

Its unit has libvirt start a transient domain and follows it (wgnode/image/libvirt/), so that systemd is who starts it,
also with the host, and who starts it anew. QEMU runs as the gateway's own user, where libvirt puts it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import ClassVar

from wgnode.image.backends import COMMON_PACKAGES, Cards, Name
from wgnode.image.libvirt import host
from wgnode.image.libvirt.domain import Domain
from wgnode.image.paths import Paths
from wgnode.image.units import HARDENING, RESTART_SECONDS, GatewayUnit, initrd_script, shell

BOOT_TIMEOUT = {"kvm": 45.0, "tcg": 180.0}
RUNNER_MEMORY = 96
"""MiB for Python and virsh; QEMU is in a group of libvirt's."""
_KVM = "ExecStartPre=+/usr/sbin/usermod --append --groups kvm {user}"
_SEES_QEMU = HARDENING.replace("ProtectProc=invisible\n", "")


class Libvirt:
    name: Name = "libvirt"
    about = "a virtual machine of the host's libvirt, with a kernel of its own"
    cards: Cards = "tap"
    packages = tuple(sorted((*COMMON_PACKAGES, "libvirt-clients", "libvirt-daemon-system", "qemu-system-x86")))
    accelerated = True
    cannot: ClassVar[Mapping[str, str]] = {"architecture": "its domain is an amd64 q35; take backend microvm"}

    def service(self, unit: GatewayUnit) -> str:
        """wgnode-gateway.service: root without capabilities, since only root may ask libvirtd.

        Sockets in its directory are made by libvirtd and belong to that one's group, where hostd is.
        """
        paths = unit.paths
        run, stop = (
            shlex.join(["/usr/bin/python3", "-I", paths.domain_runner, command, *host.arguments(_domain(unit))])
            for command in ("run", "stop")
        )
        return f"""\
[Unit]
Description=wgnode gateway {unit.name}
Requires={paths.network_unit}
After={paths.network_unit} {paths.firewall_unit} libvirtd.service libvirt-guests.service
Wants={paths.hostd_unit} libvirtd.service
StartLimitIntervalSec=0

[Service]
Type=exec
User=root
Group={paths.machine_user}
RuntimeDirectory={paths.machine_run_name}
RuntimeDirectoryMode=2750
ExecStartPre=+{shell(initrd_script(unit.image, paths))}
{_KVM.format(user=paths.machine_user) if unit.accelerator == "kvm" else "# Software emulation: no group for /dev/kvm"}
ExecStart={run}
ExecStopPost={stop}
Restart=always
RestartSec={RESTART_SECONDS}
KillMode=mixed
TimeoutStopSec=20
SuccessExitStatus=143
OOMScoreAdjust=-500
{_SEES_QEMU}MemoryMax={RUNNER_MEMORY}M
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_UNIX
PrivateDevices=yes
PrivateNetwork=yes

[Install]
WantedBy=multi-user.target
"""

    def programs(self, paths: Paths) -> Mapping[str, tuple[str, bytes]]:
        return {"runner": (paths.domain_runner, host.program())}

    def boot_timeout(self, unit: GatewayUnit) -> float:
        return BOOT_TIMEOUT[unit.accelerator]

    def same_machine(self, one: str, other: str) -> bool:
        """What it is called makes it no other."""
        return _unnamed(one) == _unnamed(other)

    def look(self, paths: Paths) -> Sequence[str]:
        """What tells on the host, a line each, in what the machine that runs is not as it was started."""
        instance = ["--instance", paths.instance] if paths.instance else []
        return ["/usr/bin/python3", "-I", paths.domain_runner, "look", *instance]


def _domain(unit: GatewayUnit) -> Domain:
    return Domain(unit.paths, f"{unit.image}/vmlinux", unit.lan_mac, unit.memory, unit.cpus, unit.accelerator)


def _unnamed(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("Description="))
