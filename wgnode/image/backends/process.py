"""A process of the host's own kernel, in a network namespace of its own: for hosts that can't run guests.

Its root is the image's, unpacked anew at each start with the gateway's layers, so it is the same Python, node and
compiled plane as in a virtual machine, and nothing that was changed there outlives a restart. The namespace and its two
cards are the host's, made by its network.sh.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wgnode.image import unpack
from wgnode.image.backends import COMMON_PACKAGES, Cards, Name
from wgnode.image.paths import Paths
from wgnode.image.units import HARDENING, RESTART_SECONDS, GatewayUnit

BOOT_TIMEOUT = 60.0
"""Seconds: unpacking and imports, no kernel."""
CAPABILITIES = "CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE"
"""Over its own namespace's network alone: addresses and routes; packet and raw sockets; ports below 1024."""
SYSTEM_CALLS = "SystemCallFilter=@system-service seccomp\nSystemCallFilter=~@resources @privileged"
"""The node's own filter, which comes once it is set up, is far narrower (wgnode/platform/linux/seccomp.py)."""
_OTHERWISE = ("CapabilityBoundingSet=", "AmbientCapabilities=", "ProtectKernelTunables=", "SystemCallFilter=")


class Process:
    name: Name = "process"
    about = "a process of the host's own kernel, in a network namespace of its own"
    cards: Cards = "veth"
    packages = COMMON_PACKAGES
    accelerated = False
    cannot: ClassVar[Mapping[str, str]] = {
        "accelerator": "it runs on the host's processor itself, so there is nothing to choose; leave it out",
        "udpSegmentation": "its cards are no virtual hardware, and carry trains of datagrams anyway; leave it out",
        "masquerade": "the limits of connections are its host's, and no namespace can set them; choose host-route or"
        " proxy-arp, or backend microvm",
    }

    def service(self, unit: GatewayUnit) -> str:
        """wgnode-gateway.service. What is unpacked is root's, before there is a process of the node's user."""
        paths, hardening = unit.paths, _without(HARDENING, _OTHERWISE)
        layers = f"{unit.image}/initramfs.zst {paths.config_layer} {paths.secrets_layer}"
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
RuntimeDirectory={paths.machine_run_name}
RuntimeDirectoryMode=0750
NetworkNamespacePath={paths.namespace}
RootDirectory={paths.root}
RootDirectoryStartOnly=yes
# Below the root also for what comes before it is there.
WorkingDirectory=-/
MountAPIVFS=yes
ExecStartPre=+/usr/bin/python3 -I {paths.unpacker} {paths.root} {paths.machine_user} {layers}
ExecStart=/{unpack.SERVICE}
Restart=always
RestartSec={RESTART_SECONDS}
KillMode=mixed
TimeoutStopSec=10
SuccessExitStatus=143
OOMScoreAdjust=-500
{hardening}CapabilityBoundingSet={CAPABILITIES}
AmbientCapabilities={CAPABILITIES}
{SYSTEM_CALLS}
PrivateMounts=yes
ProtectKernelTunables=yes
# Of its own namespace: /proc/sys/net shows each process its own.
ReadWritePaths=+/proc/sys/net
MemoryDenyWriteExecute=yes
MemoryMax={unit.memory}M
CPUQuota={100 * unit.cpus}%
TasksMax=64
LimitMEMLOCK=infinity
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET
PrivateDevices=yes
BindPaths=/dev/net/tun
DeviceAllow=/dev/net/tun rw

[Install]
WantedBy=multi-user.target
"""

    def programs(self, paths: Paths) -> Mapping[str, tuple[str, bytes]]:
        return {"unpacker": (paths.unpacker, unpack.program())}

    def boot_timeout(self, unit: GatewayUnit) -> float:
        return BOOT_TIMEOUT

    def same_machine(self, one: str, other: str) -> bool:
        """What it is called makes it no other."""
        return _unnamed(one) == _unnamed(other)


def _without(settings: str, beginnings: tuple[str, ...]) -> str:
    return "".join(line + "\n" for line in settings.splitlines() if not line.startswith(beginnings))


def _unnamed(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("Description="))
