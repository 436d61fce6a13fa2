"""What systemd does for the unit of a gateway that is a process, as far as the node sees it, by hand.

    python as_service.py ROOT RUN

In a mount namespace of its own: the root with /proc, two devices and the runtime directory; then another user with
three capabilities, and no way to more.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from wgnode.platform.linux import capabilities
from wgnode.platform.linux.hosted import KEPT

USER = 65534
CLONE_NEWNS = 0x20000
PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 8, 47, 2
MOUNTS = """mount --make-rprivate /; mkdir -p "$1/run/wgnode"
mount --bind "$2" "$1/run/wgnode"; mount -t proc proc "$1/proc"; mount -t tmpfs tmpfs "$1/dev"
mkdir "$1/dev/net"; mknod -m 666 "$1/dev/net/tun" c 10 200; mknod -m 666 "$1/dev/urandom" c 1 9
"""


def main(root: str, run: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["sh", "-ec", MOUNTS, "mounts", root, run], check=True)
    os.chroot(root)
    os.chdir("/")
    with open(capabilities.LAST) as last:
        gone = capabilities.dropped(KEPT, int(last.read()))
    for number in gone:
        libc.prctl(capabilities.PR_CAPBSET_DROP, number, 0, 0, 0)
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    mask = capabilities.mask(KEPT)
    header = (ctypes.c_uint32 * 2)(capabilities._VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)):
        raise OSError(ctypes.get_errno(), "capset")
    for number in KEPT:
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0)
    capabilities.no_new_privileges()
    os.execve("/service", ["/service"], {"RUNTIME_DIRECTORY": "/run/wgnode"})


if __name__ == "__main__":
    main(*sys.argv[1:])
