"""The systemd units of a gateway, as text. Pure.

Written for systemd 252 (Debian 12) and later. In a unit `%` and `$` are systemd's own, so a shell's are doubled.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from wgnode.image.architecture import AMD64
from wgnode.image.machine import FIRMWARE, TRANSLATION_CACHE, Machine, Nic, command
from wgnode.image.paths import PLAIN, TRANSIT_MAC, UAPI_DIRECTORY, USER, Paths

QEMU_OVERHEAD = 192
"""MiB that QEMU needs beside the guest's memory and TCG's translation cache (the initrd twice among it)."""
HOSTD_MEMORY = 128
RESTART_SECONDS = 2
BOOT_SECONDS = 120
"""A guest that said nothing for so long after its start is stuck."""
WATCHDOG_SECONDS = 60
VHOST_DEVICE = "/dev/vhost-net"
KVM_DEVICES = f"DeviceAllow=/dev/kvm rw\nDeviceAllow={VHOST_DEVICE} rw"

NAME = re.compile(r"[a-z][a-z0-9-]{0,14}")
"""A gateway's name: it becomes part of a path in a script that root runs."""

_NO_MATTER = re.compile(rf"^Description=.*$| -name wgnode-[a-z0-9-]+| -bios {re.escape(FIRMWARE)}", re.MULTILINE)
"""What two units of the same machine may differ in. Before the firmware was named, a guest that ran had the same."""

HARDENING = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service seccomp
SystemCallErrorNumber=EPERM
UMask=0077
LimitCORE=0
MemorySwapMax=0
"""

SHARED_SOCKET = HARDENING.replace("UMask=0077", "UMask=0007")
"""QEMU's control socket is its group's too."""


@dataclass(frozen=True)
class GatewayUnit:
    """`image` is the directory with vmlinux and initramfs.zst, `lan_mac` of the guest's second card.

    `udp_segmentation`: whether the host's QEMU carries that (machine.UDP_SEGMENTATION). `architecture`: the host's.
    """

    name: str
    image: str
    lan_mac: str
    memory: int = 128
    cpus: int = 1
    accelerator: Literal["kvm", "tcg"] = "tcg"
    udp_segmentation: bool = False
    paths: Paths = PLAIN
    architecture: str = AMD64.name

    @property
    def machine(self) -> Machine:
        return Machine(
            name=self.name,
            kernel=f"{self.image}/vmlinux",
            initrd=self.paths.initrd,
            nics=(Nic(self.paths.transit_tap, TRANSIT_MAC), Nic(self.paths.lan_tap, self.lan_mac)),
            control=self.paths.control_socket,
            memory=self.memory,
            cpus=self.cpus,
            accelerator=self.accelerator,
            tsc_khz="${WGNODE_TSC_KHZ}" if self.accelerator == "tcg" else None,
            architecture=self.architecture,
            vhost="${WGNODE_VHOST}" if self.accelerator == "kvm" else None,
            udp_segmentation=self.udp_segmentation,
        )


def gateway_service(unit: GatewayUnit) -> str:
    """wgnode-gateway.service: QEMU, unprivileged. Whatever ends it, a new one starts with the layers of then.

    What root does before (`+`) touches nothing that QEMU's user could have put a link into, or an environment.
    """
    memory = unit.memory + QEMU_OVERHEAD + (TRANSLATION_CACHE if unit.accelerator == "tcg" else 0)
    kvm, paths = unit.accelerator == "kvm", unit.paths
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
ExecStartPre=+{shell(initrd_script(unit.image, paths))}
{_tsc(paths) if unit.architecture == AMD64.name else "# No time stamp counter to tell the guest of"}
{_vhost(paths) if kvm else "# Software emulation: no vhost-net"}
ExecStart={_words(command(unit.machine))}
Restart=always
RestartSec={RESTART_SECONDS}
KillMode=mixed
TimeoutStopSec=10
SuccessExitStatus=143
OOMScoreAdjust=-500
{SHARED_SOCKET}MemoryMax={memory}M
{"MemoryDenyWriteExecute=yes" if kvm else "# TCG writes the code that it runs: no MemoryDenyWriteExecute"}
RestrictAddressFamilies=AF_UNIX
DevicePolicy=closed
DeviceAllow=/dev/net/tun rw
{KVM_DEVICES if kvm else ""}
[Install]
WantedBy=multi-user.target
"""


def same_machine(one: str, other: str) -> bool:
    """Whether two gateway units start the same machine: what it is called makes it no other."""
    return _NO_MATTER.sub("", one) == _NO_MATTER.sub("", other)


def hostd_service(name: str, bundle: str, paths: Paths = PLAIN) -> str:
    """wgnode-hostd.service: the only client of the guest's control port, and what `wg show` talks to.

    The watchdog is fed while the guest gives signs of life; when it starves, the guest is started anew as well.
    The link is made once the socket answers: `wg` deletes one whose connection is refused.
    """
    arguments = ["/usr/bin/python3", "-I", bundle, "run", "--name", name, *instance_option(paths)]
    return f"""\
[Unit]
Description=wgnode companion of gateway {name}
After={paths.gateway_unit}
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
User={USER}
Group={USER}
RuntimeDirectory={paths.run_name}
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
ExecStart={_words(arguments)}
ExecStartPost=+{shell(link_script(name, paths))}
ExecStopPost=+{shell(unlink_script(name, paths))}
Restart=always
RestartSec={RESTART_SECONDS}
WatchdogSec={WATCHDOG_SECONDS}
TimeoutStopSec=10
{HARDENING}MemoryMax={HOSTD_MEMORY}M
MemoryDenyWriteExecute=yes
PrivateDevices=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
ReadWritePaths=-{paths.hostd_state}

[Install]
WantedBy=multi-user.target
"""


def initrd_script(image: str, paths: Paths = PLAIN) -> str:
    """Join the image's part with the gateway's own, for QEMU's user to read and nobody else; never half there."""
    parts = shlex.join([f"{image}/initramfs.zst", paths.config_layer, paths.secrets_layer])
    new, user = f"{paths.initrd}.new", paths.machine_user
    make = f"cat {parts} > {new} && chown {user} {new} && chmod 400 {new} && mv {new} {paths.initrd}"
    return f"umask 077 && mkdir -p {paths.start} && chmod 711 {paths.start} && {make} && rm -f {paths.former_initrd}"


def tsc_script(paths: Paths = PLAIN) -> str:
    """The host's time stamp counter in kHz (machine.tsc_khz_of), anew at each start: a host may get another CPU."""
    program = '/^bogomips/ { printf "WGNODE_TSC_KHZ=%d\\n", $NF * 500; exit }'
    return f"awk {shlex.quote(program)} /proc/cpuinfo > {paths.tsc_environment}"


def vhost_script(paths: Paths = PLAIN) -> str:
    """Whether vhost-net is there and QEMU's user may open it: QEMU would not start if it could not."""
    user = paths.machine_user
    attempt = f"setpriv --reuid={user} --regid={user} --groups=kvm sh -c {shlex.quote(f': <>{VHOST_DEVICE}')}"
    return (
        f"if {attempt} 2>/dev/null; then echo WGNODE_VHOST=on; else echo WGNODE_VHOST=off; fi"
        f" > {paths.vhost_environment}"
    )


def link_script(name: str, paths: Paths = PLAIN) -> str:
    """Let `wg` find the socket where it looks, beside those of other programs, and never in place of one."""
    link = _link(name, paths)
    taken = f'echo "{link} belongs to another program" >&2; exit 1'
    return (
        f"mkdir -p {UAPI_DIRECTORY} && if [ -e {link} ] && [ ! -L {link} ]; then {taken}; fi; "
        f"{_remove_links(paths)}; ln -sfn {paths.uapi_socket} {link}"
    )


def unlink_script(name: str, paths: Paths = PLAIN) -> str:
    """Remove our link and, when the watchdog starved, end the guest that starved it."""
    _link(name, paths)
    starved = f"systemctl --no-block try-restart {paths.gateway_unit}"
    return f'{_remove_links(paths)}; if [ "$SERVICE_RESULT" = watchdog ]; then {starved}; fi'


def _remove_links(paths: Paths) -> str:
    """Whatever they are called: one by a former name of the gateway is of no use to anybody."""
    ours = f'[ "$(readlink "$link")" != {paths.uapi_socket} ] || rm -f "$link"'
    return f"for link in {UAPI_DIRECTORY}/*.sock; do {ours}; done"


def instance_option(paths: Paths) -> list[str]:
    """For hostd's command line; none for the first gateway of a host."""
    return ["--instance", paths.instance] if paths.instance else []


def _link(name: str, paths: Paths) -> str:
    """Raises ValueError for a name that is none."""
    if not NAME.fullmatch(name):
        raise ValueError(f"gateway name {name!r}: up to 15 lower-case letters, digits and hyphens, a letter first")
    return paths.uapi_link(name)


def _tsc(paths: Paths) -> str:
    return f"ExecStartPre=+{shell(tsc_script(paths))}\nEnvironmentFile=-{paths.tsc_environment}"


def _vhost(paths: Paths) -> str:
    return f"ExecStartPre=+{shell(vhost_script(paths))}\nEnvironmentFile=-{paths.vhost_environment}"


def shell(script: str) -> str:
    quoted = script.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'/bin/sh -c "{quoted}"'


def _words(arguments: Iterable[str]) -> str:
    """A command line in systemd's quoting; a variable such as ${NAME} stays one."""
    words = [word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") for word in arguments]
    return " ".join(f'"{word}"' if " " in word or '"' in word else word for word in words)
