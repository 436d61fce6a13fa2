"""What only PID 1 does to its kernel: mounts, modules, settings, the clock, the end of the machine."""

from __future__ import annotations

import ctypes
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

from wgnode.platform.linux import calls
from wgnode.platform.linux.sysctl import write_sysctl

MOUNTS = (
    ("proc", "/proc", "proc", ""),
    ("sysfs", "/sys", "sysfs", ""),
    ("securityfs", "/sys/kernel/security", "securityfs", ""),
    ("devtmpfs", "/dev", "devtmpfs", "size=64k,nr_inodes=1k"),
)
"""Of those, devtmpfs alone has room for more than the kernel puts there: for device nodes, and no files to speak of.
The root is of memory too, until it is made read-only (confine.py)."""
MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x2, 0x4, 0x8
REBOOT_MAGIC, REBOOT_MAGIC_2, RB_AUTOBOOT = 0xFEE1DEAD, 672274793, 0x01234567
MODULES = Path("/lib/modules")
CLOCK_TOLERANCE = 0.02
"""Seconds by which the clock may differ from the host's before it is set."""

SETTINGS: dict[str, str | int] = {
    "net/ipv4/ip_forward": 1,
    "net/ipv6/conf/all/forwarding": 1,
    "net/ipv6/conf/all/accept_ra": 0,
    "net/ipv6/conf/default/accept_ra": 0,
    "net/ipv6/conf/default/dad_transmits": 0,
    "net/ipv4/conf/all/accept_redirects": 0,
    "net/ipv4/conf/all/send_redirects": 0,
    "net/ipv4/conf/default/send_redirects": 0,
    "net/ipv6/conf/all/accept_redirects": 0,
    "net/core/rmem_default": 1 << 20,
    "net/core/rmem_max": 4 << 20,
    "net/core/wmem_max": 4 << 20,
    "kernel/kptr_restrict": 2,
    "kernel/dmesg_restrict": 1,
    "kernel/sysrq": 0,
    "kernel/panic": -1,
    "kernel/panic_on_oops": 1,
    "kernel/unprivileged_bpf_disabled": 1,
    "kernel/core_pattern": "",
    "net/core/bpf_jit_harden": 2,
}
"""What can be closed only once the node is set up is in confine.py."""

_libc = ctypes.CDLL(None, use_errno=True)


def mount_file_systems() -> None:
    """Raises OSError."""
    for source, target, kind, options in MOUNTS:
        flags = MS_NOSUID | MS_NOEXEC | (0 if kind == "devtmpfs" else MS_NODEV)
        os.makedirs(target, exist_ok=True)
        words = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
        _check(_libc.mount(*words), target)


def load_modules(directory: Path = MODULES) -> None:
    """In the order of their file names, none of folders below. Raises OSError, naming the module."""
    insert = calls.number("finit_module")
    for file in sorted(directory.glob("*.ko")):
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            result = _libc.syscall(ctypes.c_long(insert), descriptor, ctypes.c_char_p(b""), ctypes.c_int(0))
            if result < 0 and ctypes.get_errno() != errno.EEXIST:
                _check(result, f"module {file.stem}")
        finally:
            os.close(descriptor)


def apply_settings(warn: Callable[[str], None]) -> None:
    """Forwarding and hardening. One that the kernel lacks is told."""
    for key, value in SETTINGS.items():
        try:
            write_sysctl(key, value)
        except OSError as error:
            warn(f"setting {key}: {error.strerror}")


def set_clock(unix_ns: int) -> float:
    """Step the wall clock to the host's. Returns by how many seconds it was off."""
    off = (unix_ns - time.time_ns()) / 1e9
    if abs(off) > CLOCK_TOLERANCE:
        time.clock_settime_ns(time.CLOCK_REALTIME, unix_ns)
    return off


def end_machine() -> None:
    """Reset; the machine runs with -no-reboot, so this ends it, and whoever runs it starts a new one."""
    os.sync()
    _libc.syscall(ctypes.c_long(calls.number("reboot")), REBOOT_MAGIC, REBOOT_MAGIC_2, RB_AUTOBOOT, None)


def give_up() -> None:
    """The clear last line of a machine that ends."""
    try:
        os.write(1, b"wgnode: the node ended, so the machine ends\n")
    finally:  # whether or not anybody reads the console
        end_machine()


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
