"""A guest whose kernel has the kinds of links that the machine's may lack: bonds, VLANs, VRFs, tunnels.

Debian 13's kernel, its `ip` and its shell, in memory; each case has a network namespace of its own.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lab import rootfs
from tests.lab.kernel_guest import KernelGuest, with_modules
from wgnode.image import cpio

MODULES = ("bonding", "8021q", "vrf", "macvlan", "ipvlan", "dummy", "veth", "bridge", "ip_gre", "ipip", "sit")
MODULES += ("ip6_tunnel", "ip_vti", "xfrm_interface", "team", "tun", "wireguard", "vxlan", "geneve")
PROGRAMS = {"usr/sbin/ip": "/usr/sbin/ip", "bin/sh": "/usr/bin/dash", "bin/cat": "/usr/bin/cat"}
PATH = "export PATH=/usr/sbin:/usr/bin:/sbin:/bin"


class LinkGuest(KernelGuest):
    memory = 512

    def additions(self, description: Mapping[str, Any]) -> dict[str, cpio.Entry]:
        root = rootfs.ensure(print)["trixie"]
        programs = {
            place: cpio.file(_real(root, path).read_bytes(), 0o755)
            for place, path in [*PROGRAMS.items(), *_libraries(root)]
        }
        return {**with_modules(description, *MODULES), **programs}

    def shell(self, script: str) -> str:
        """Raises AssertionError where it fails."""
        status, output = self.call("run", ["/bin/sh", "-ec", f"{PATH}\n{script}"])
        assert status == 0, output
        return str(output)

    def inside(self, space: str, script: str) -> str:
        """Of a namespace by its name, which is made where there is none."""
        made = f"ip netns list | {{ while read -r name _; do [ $name != {space} ] || exit 0; done; exit 1; }}"
        enter = f"ip netns exec {space} /bin/sh -ec {shlex.quote(script)}"
        return self.shell(f"{made} || {{ ip netns add {space}; ip -n {space} link set lo up; }}\n{enter}")


def _real(root: Path, path: str) -> Path:
    """Behind links that lead from the root of the file system."""
    found = root / path.lstrip("/")
    while found.is_symlink():
        aim = found.readlink()
        found = root / str(aim).lstrip("/") if aim.is_absolute() else found.parent / aim
    return found


def _libraries(root: Path) -> Iterator[tuple[str, str]]:
    """What the programs are linked with, where their loader looks for it."""
    for program in PROGRAMS.values():
        said = subprocess.run(["chroot", root, "ldd", program], capture_output=True, text=True, check=True).stdout
        for word in said.split():
            if word.startswith("/"):
                yield word.lstrip("/"), word
