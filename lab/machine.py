"""What the lab needs of the machine it runs on, looked at before anything is made."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from lab import cgroup
from lab.errors import LabError
from lab.process import missing_packages, run

OLDEST_KERNEL = (5, 14)
"""The first with `cgroup.kill` (Linux 5.14, cgroup-v2.rst)."""
_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21, "CAP_MKNOD": 27}
"""Numbers of linux/capability.h."""


def check() -> None:
    """Raises LabError with all that is missing, one a line, each with the way out."""
    if os.geteuid():
        raise LabError("the lab needs root (network namespaces, mounts, containers); run it with sudo")
    if found := list(shortcomings()):
        raise LabError("\n     ".join(found))


def shortcomings(proc: Path = Path("/proc")) -> Iterator[str]:
    if missing := missing_packages():
        yield f"packages are missing: apt-get install --no-install-recommends {' '.join(missing)}"
    yield from _kernel(proc)
    status = (proc / "self/status").read_text()
    held = int(re.findall(r"^CapEff:\s*(\w+)$", status, re.MULTILINE)[0], 16)
    if lacking := [name for name, number in _CAPABILITIES.items() if not held >> number & 1]:
        yield f"root lacks {', '.join(lacking)}, as in a confined container; start that with --privileged"
    yield from _devices(proc)


def _kernel(proc: Path) -> Iterator[str]:
    release = (proc / "sys/kernel/osrelease").read_text().strip()
    version = tuple(map(int, re.findall(r"\d+", release)[:2]))
    if version < OLDEST_KERNEL:
        yield f"kernel {release} is too old: {'.'.join(map(str, OLDEST_KERNEL))} or newer (Debian 12 has 6.1)"
    if not (proc / "sys/net/ipv6").is_dir():
        yield "the kernel has no IPv6; boot it without ipv6.disable=1"
    try:
        cgroup.mounted()
    except LabError as error:
        yield str(error)


def _devices(proc: Path) -> Iterator[str]:
    """What may be a module, which is loaded where it can be."""
    release = (proc / "sys/kernel/osrelease").read_text().strip()
    for module, listing, what in (
        ("overlay", "filesystems", "overlay file system"),
        ("tun", "misc", "TUN device"),
    ):
        if _listed(proc / listing, module):
            continue
        run(["modprobe", "--quiet", module], check=False)
        if not _listed(proc / listing, module):
            yield (
                f"kernel {release} has no {what} and no module {module!r} in /lib/modules/{release}; "
                "after an update of the kernel, reboot"
            )


def _listed(listing: Path, name: str) -> bool:
    return name in listing.read_text().split()


def check_space(directory: Path, needed: int, way_out: str) -> None:
    """Raises LabError unless `needed` bytes are free where `directory` is or will be."""
    there = next(each for each in (directory, *directory.parents) if each.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise LabError(f"{directory} has {free >> 20} MiB free, {needed >> 20} MiB are needed; {way_out}")
