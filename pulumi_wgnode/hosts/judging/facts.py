"""What a host is: system, processor, whether guests can run on KVM, interfaces, firewalls of others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi_wgnode.hosts.host import Host
from pulumi_wgnode.hosts.judging import firewalls, segmentation
from pulumi_wgnode.hosts.networks import network
from pulumi_wgnode.hosts.packages import supported
from pulumi_wgnode.hosts.query import Query, ask
from wgnode.firewall.others.foreign import PLAIN_SITE, Foreign
from wgnode.firewall.others.packet import Site

# A guest of four bytes: it writes 0x21 to the exit device, which makes QEMU end with (0x21 << 1) | 1.
PROBE_EXIT = 67
PROBE = f"""d=$(mktemp -d) && trap 'rm -rf "$d"' EXIT
{{ head -c 65520 /dev/zero; printf '\\260\\041\\346\\364\\364'; head -c 11 /dev/zero; }} >"$d/bios"
timeout 10 qemu-system-x86_64 -accel kvm -machine microvm -m 16 -nodefaults -display none -no-reboot \\
    -bios "$d/bios" -device isa-debug-exit,iobase=0xf4,iosize=1 2>&1
[ $? = {PROBE_EXIT} ] || exit 1"""

_READ = """package=qemu-system-x86; [ "$(dpkg --print-architecture 2>/dev/null)" != arm64 ] || package=qemu-system-arm
echo "kernel=$(uname -r)"
echo "cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
echo "cpus=$(nproc)"
echo "memory=$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)"
echo "qemu=$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' $package 2>/dev/null | sed -n 's/^ii *//p')"
for module in kvm_intel kvm_amd; do [ -d /sys/module/$module ] && echo "module=$module"; done
true"""


@dataclass(frozen=True)
class Facts:
    """`architecture` is dpkg's; `memory` in MiB; `kvm_reason` says why KVM is usable or not; `qemu` is its package's
    version.

    It is empty where that is not installed. (To ask QEMU itself would cost more time than all the rest.) `addresses`
    are the uplink's, each with whether it is leased. `udp_segmentation`: whether it carries that to guests.
    """

    os: str
    architecture: str
    kernel: str
    cpu: str
    cpus: int
    memory: int
    qemu: str
    kvm: bool
    kvm_reason: str
    interfaces: tuple[str, ...]
    foreign_firewalls: tuple[Foreign, ...]
    addresses: Mapping[str, bool]
    udp_segmentation: bool

    def outputs(self) -> dict[str, object]:
        return {
            "os": self.os,
            "architecture": self.architecture,
            "kernel": self.kernel,
            "cpu": self.cpu,
            "cpus": self.cpus,
            "memory": self.memory,
            "qemu": self.qemu,
            "kvm": self.kvm,
            "kvmReason": self.kvm_reason,
            "interfaces": list(self.interfaces),
            "foreignFirewalls": [str(one) for one in self.foreign_firewalls],
            "uplinkAddresses": dict(self.addresses),
            "udpSegmentation": self.udp_segmentation,
        }


QUERIES: dict[str, Query[Any]] = {
    "release": supported.QUERY,
    "facts": Query(["sh", "-c", _READ], lambda said: said.stdout, check=True),
    "links": Query(network.READ_LINKS, lambda said: said.stdout if said.code == 0 else ""),
    **firewalls.FIREWALLS,
}


def read(host: Host, known: Mapping[str, Any] | None = None) -> Facts:
    """`known` are earlier outputs: if they say that guests run on KVM, only another kernel or QEMU asks for a probe."""
    return of(host, ask(host, QUERIES), known)


def of(
    host: Host, answers: Mapping[str, Any], known: Mapping[str, Any] | None = None, site: Site = PLAIN_SITE
) -> Facts:
    """Seen from the gateway `site`, from the answers to QUERIES; the host is asked only where it has to be probed."""
    values = dict(line.split("=", 1) for line in answers["facts"].splitlines() if "=" in line)
    module, now = values.get("module"), (values["kernel"], values["qemu"])
    if known and known["kvm"] and module and (known["kernel"], known["qemu"]) == now:
        usable, reason = True, _runs_on(module)
    elif answers["release"].architecture == supported.UNTRIED:
        usable, reason = False, f"KVM on {supported.UNTRIED} has not been tried; its guests are emulated"
    else:
        usable, reason = _kvm(host, module, values["qemu"])
    carried = segmentation.carried(values["qemu"], values["kernel"])
    if carried is None:  # as in the middle of an upgrade of QEMU, at which the guest that runs has to stay as it is
        carried = bool(known and known.get("udpSegmentation"))
    return Facts(
        os=str(answers["release"]),
        architecture=answers["release"].architecture,
        kernel=values["kernel"],
        cpu=values["cpu"],
        cpus=int(values["cpus"]),
        memory=int(values["memory"]),
        qemu=values["qemu"],
        kvm=usable,
        kvm_reason=reason,
        interfaces=tuple(network.interfaces(answers["links"])) if answers["links"] else (),
        foreign_firewalls=tuple(firewalls.of(answers, site)),
        addresses=uplink_addresses(answers["links"], site.uplink) if answers["links"] and site.uplink else {},
        udp_segmentation=carried,
    )


def uplink_addresses(links: str, uplink: str) -> dict[str, bool]:
    """The addresses by which others may know the host, and whether each is leased (it has a lifetime).

    Without those that are of one link only, and without temporary ones (RFC 8981), which nobody is told.
    """
    return {
        entry["local"]: bool(entry.get("dynamic"))
        for link in json.loads(links)
        if link["ifname"] == uplink
        for entry in link["addr_info"]
        if entry.get("scope") == "global" and not entry.get("temporary")
    }


def _kvm(host: Host, module: str | None, qemu: str) -> tuple[bool, str]:
    """/dev/kvm alone proves nothing: some hosts have it and boot no ordinary guest."""
    if not module:
        return False, "neither kvm_intel nor kvm_amd is loaded"
    if not qemu:
        return False, "QEMU is not installed yet"
    probe = host.run(["sh", "-c", PROBE], check=False, timeout=20)
    if probe.code != 0:
        return False, f"{module} is loaded, but a probe guest did not start: {probe.stdout.strip()[-200:]}"
    return True, _runs_on(module)


def _runs_on(module: str) -> str:
    return f"{module} is loaded and a probe guest started"
