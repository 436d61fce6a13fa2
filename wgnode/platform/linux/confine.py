"""What the gateway's machine gives up for good once its node is set up, each measure read back from the kernel.

A kernel that lacks one costs that one: it is told, on the console and in the node's health, and the others hold.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wgnode.platform import Confinement, Warn
from wgnode.platform.linux import capabilities, seccomp, sysctl

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 0x1, 0x2, 0x4, 0x8, 0x20, 0x1000
READ_ONLY = {"/": MS_NODEV, "/proc": MS_NODEV | MS_NOEXEC, "/sys": MS_NODEV | MS_NOEXEC, "/dev": MS_NOEXEC}
READ_ONLY["/sys/kernel/security"] = READ_ONLY["/sys"]
"""Every file system that there is. Devices are opened for writing all the same; the kernel still makes their nodes."""
OURS = "WGNODE_"
LONGEST = 64
"""Characters of a value, as many as its host believes (hostd/parts.py)."""
SECCOMP = f"{OURS}SECCOMP"
"""Kernel command line: `log` lets all pass, and the kernel logs what the filter would not have let."""


@dataclass(frozen=True)
class Measure:
    """`read` gives what the kernel says of it, which is `wanted` where it holds."""

    name: str
    apply: Callable[[], None]
    read: Callable[[], str]
    wanted: str


def confine(warn: Warn, measures: Sequence[Measure] | None = None) -> Confinement:
    """In their order, since each takes away what the ones before it needed. Tells what does not hold; never raises."""
    chosen = MEASURES if measures is None else measures
    problems: dict[str, str] = {}
    for measure in chosen:
        try:
            measure.apply()
        except (OSError, ValueError) as error:
            problems[measure.name] = str(error)
    values = {measure.name: _read(measure) for measure in chosen}
    lacking = tuple(measure.name for measure in chosen if values[measure.name] != measure.wanted)
    for name in sorted({*problems, *lacking}, key=[measure.name for measure in chosen].index):
        warn(f"confinement: {name} is {values[name]}" + (f": {problems[name]}" if name in problems else ""))
    return Confinement(values, lacking)


def _read(measure: Measure) -> str:
    try:
        return measure.read()[:LONGEST] or "none"
    except (OSError, ValueError, KeyError):
        return "unknown"


# What is read back


def status(*names: str) -> Callable[[], str]:
    """One value that all these lines of /proc/self/status (proc_pid_status(5)) have."""

    def read() -> str:
        with open("/proc/self/status") as file:
            lines = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        return "+".join(sorted({lines[name] for name in names}))

    return read


def mounts(text: str) -> str:
    """ "read-only", or the mount points that can be written to, of /proc/self/mounts (fstab(5))."""
    rows = [line.split(" ") for line in text.splitlines()]
    return "+".join(row[1] for row in rows if "ro" not in row[3].split(",")) or "read-only"


def _mounts() -> str:
    with open("/proc/self/mounts") as file:
        return mounts(file.read())


def threads() -> str:
    """Those that there are; what began before the capabilities went would have kept them."""
    return str(len(os.listdir("/proc/self/task")))


def unknown_words(command_line: str, environment: Mapping[str, str]) -> str:
    """The kernel gives its first process what it does not know of its own command line (bootparam(7))."""
    names = [word.partition("=")[0] for word in command_line.split()]
    return "+".join(name for name in names if name in environment and not name.startswith(OURS)) or "known"


def _unknown_words() -> str:
    with open("/proc/cmdline") as file:
        return unknown_words(file.read(), os.environ)


def chosen(text: str) -> str:
    """The one in brackets, as security/lockdown/lockdown.c shows it."""
    return text[text.index("[") + 1 : text.index("]")]


def _lockdown() -> str:
    with open("/sys/kernel/security/lockdown") as file:
        return chosen(file.read())


# What is done


def _mount_read_only() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for target, more in READ_ONLY.items():
        flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | more
        if libc.mount(None, target.encode(), None, ctypes.c_ulong(flags), None) < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{target}: {os.strerror(number)}")


def _setting(key: str, value: str) -> Callable[[], None]:
    return lambda: sysctl.write_sysctl(key, value)


def _logs() -> bool:
    return os.environ.get(SECCOMP) == "log"


def _install_filter() -> None:
    seccomp.install(seccomp.program(seccomp.LOG) if _logs() else seccomp.program())


def _filter() -> str:
    return "log" if _logs() else status("Seccomp")()


def _nothing() -> None: ...


def _of_sysctl(name: str, key: str, value: str) -> Measure:
    return Measure(name, _setting(key, value), lambda: sysctl.read_sysctl(key), value)


_KEPT = f"{capabilities.mask(capabilities.KEPT):016x}"
MEASURES = (
    Measure("command-line", _nothing, _unknown_words, "known"),
    Measure("lockdown", _nothing, _lockdown, "integrity"),
    Measure("threads", _nothing, threads, "1"),
    _of_sysctl("modules", "kernel/modules_disabled", "1"),
    _of_sysctl("kexec", "kernel/kexec_load_disabled", "1"),
    _of_sysctl("ptrace", "kernel/yama/ptrace_scope", "3"),
    _of_sysctl("io-uring", "kernel/io_uring_disabled", "2"),
    _of_sysctl("user-namespaces", "user/max_user_namespaces", "0"),
    _of_sysctl("perf-events", "kernel/perf_event_paranoid", "3"),
    Measure("file-systems", _mount_read_only, _mounts, "read-only"),
    Measure("capabilities", capabilities.keep_only, status("CapPrm", "CapEff", "CapBnd"), _KEPT),
    Measure("no-new-privileges", capabilities.no_new_privileges, status("NoNewPrivs"), "1"),
    Measure("seccomp", _install_filter, _filter, "2"),
)
"""By name; the last three are the order that capabilities(7) and seccomp(2) ask for."""
