"""Debian's libvirt on a lab's host, which has no internet: its packages, fetched by the machine's own apt, once.

What a host lacks of them is computed by apt from its own list of packages, so the host's dpkg finds all it asks for.
"""

from __future__ import annotations

import hashlib
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import rootfs
from lab.api import Lab
from wgnode.image.backends import COMMON_PACKAGES
from wgnode.image.backends.libvirt import Libvirt

PACKAGES = sorted(set(Libvirt.packages) - set(COMMON_PACKAGES))
_INSTALL = """set -e; rm -rf /var/tmp/libvirt; mkdir /var/tmp/libvirt; tar -x -C /var/tmp/libvirt
export DEBIAN_FRONTEND=noninteractive; dpkg --unpack --force-unsafe-io /var/tmp/libvirt/*.deb
dpkg --configure --pending; rm -rf /var/tmp/libvirt; virsh --connect qemu:///system version"""
_REMOVE = """for domain in $(virsh list --name); do virsh destroy $domain; done
systemctl stop libvirtd.service 'libvirtd*.socket' 'virt*.socket'
DEBIAN_FRONTEND=noninteractive dpkg --purge --force-unsafe-io {}; rm -rf /etc/libvirt /var/lib/libvirt"""


@contextmanager
def libvirt(lab: Lab, host: str, suite: str = "bookworm") -> Iterator[str]:
    """What it says its version is. The host is afterwards as it was; apt is of the machine, so of its suite."""
    files = fetched(rootfs.ensure(print)[suite])
    archive = subprocess.run(["tar", "-c", "-C", files, "."], capture_output=True, check=True).stdout
    names = [name for file in files.glob("*.deb") if (name := file.name.partition("_")[0])]
    done = lab.console(host, _INSTALL, input=archive, text=False, timeout=300)
    try:
        yield done.stdout.decode()
    finally:
        lab.console(host, _REMOVE.format(" ".join(names)), check=False, timeout=300)


def fetched(root: Path) -> Path:
    """The folder with all packages that a host over this root lacks."""
    digest = hashlib.sha256(f"{root.name} {' '.join(PACKAGES)}".encode()).hexdigest()
    target = rootfs.cache_directory() / f"libvirt-{digest[:8]}"
    if not target.is_dir():
        making = Path(f"{target}.{secrets.token_hex(3)}")
        (making / "partial").mkdir(parents=True)
        options = [f"Dir::State::status={root}/var/lib/dpkg/status", f"Dir::Cache::archives={making}/"]
        command = ["apt-get", "-q", "-y", "--download-only", "--no-install-recommends"]
        command += [word for option in options for word in ("-o", option)]
        subprocess.run([*command, "install", *PACKAGES], check=True, capture_output=True)
        making.rename(target)
    return target
