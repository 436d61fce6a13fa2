"""The system calls that a running node makes, and none else (seccomp(2)): a filter for the kernel, made here as bytes.

What a node has no use for is refused (EPERM). What only an attacker would try ends the process, hence the machine. The
list was measured on both planes (docs/decisions/confinement.md).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wgnode.platform.linux.calls import NUMBERS
from wgnode.platform.linux.calls import number as call_number

SET_MODE_FILTER, TSYNC = 1, 1
AUDIT_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""By uname(2)'s machine (linux/audit.h): calls of another architecture, such as 32-bit ones, end the process."""
X32 = 0x40000000
ALLOW, LOG, KILL, ERRNO = 0x7FFF0000, 0x7FFC0000, 0x80000000, 0x00050000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""BPF_LD+W+ABS, BPF_JMP+JEQ+K, JGE, JSET, BPF_RET+K (linux/bpf_common.h)."""
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
"""Where in struct seccomp_data."""

AF_INET, AF_INET6, AF_NETLINK, AF_PACKET = 2, 10, 16, 17
CLONE_THREAD, O_CREAT, PROT_EXEC, PR_SET_NAME = 0x10000, 0o100, 0x4, 15
RB_AUTOBOOT = 0x01234567


@dataclass(frozen=True)
class Argument:
    """Of a system call, the low 32 bits of one of its arguments (from 0): one of `among`; or with `set`, without
    `unset`, some bit."""

    place: int
    among: tuple[int, ...] = ()
    set: int = 0
    unset: int = 0


CALLS = (
    "read", "write", "close", "fstat", "poll", "lseek", "munmap", "brk", "rt_sigaction", "rt_sigprocmask",
    "rt_sigreturn", "ioctl", "pread64", "readv", "writev", "access", "sched_yield", "mremap", "madvise", "nanosleep",
    "getpid", "connect", "sendto", "recvfrom", "sendmsg", "recvmsg", "shutdown", "bind", "getsockname", "setsockopt",
    "getsockopt", "exit", "uname", "fcntl", "readlink", "gettimeofday", "sysinfo", "sigaltstack", "sync", "gettid",
    "futex", "sched_getaffinity", "getdents64", "restart_syscall", "clock_settime", "clock_gettime", "clock_nanosleep",
    "exit_group", "epoll_wait", "epoll_ctl", "tgkill", "newfstatat", "set_robust_list", "timerfd_create", "eventfd2",
    "epoll_create1", "timerfd_settime", "pipe2", "recvmmsg", "sendmmsg", "getrandom", "membarrier", "statx", "rseq",
)  # fmt: skip
"""By name; their numbers are in calls.py."""
OF_A_LISTENER = ("accept4",)
"""More, for a node that its host calls by a socket (hosted.py)."""
LIMITED: Mapping[str, Argument] = {
    "mmap": Argument(2, unset=PROT_EXEC),
    "mprotect": Argument(2, unset=PROT_EXEC),
    "socket": Argument(0, (AF_INET, AF_INET6, AF_NETLINK, AF_PACKET)),
    "clone": Argument(0, set=CLONE_THREAD),
    "prctl": Argument(0, (PR_SET_NAME,)),
    "reboot": Argument(2, (RB_AUTOBOOT,)),
    "prlimit64": Argument(2, (0,)),
    "openat": Argument(2, unset=O_CREAT),
}
"""No code is made or mapped, no process started, no file created."""
ABSENT = ("clone3",)
"""Said to be unknown (ENOSYS): the C library then takes clone, whose flags can be judged."""
DEADLY = (
    "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "init_module", "finit_module",
    "delete_module", "kexec_load", "kexec_file_load", "mount", "umount2", "pivot_root", "chroot", "move_mount",
    "open_tree", "fsopen", "fsmount", "unshare", "setns", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup",
    "iopl", "ioperm", "keyctl", "add_key", "memfd_create", "fork", "vfork",
)  # fmt: skip
"""Those of them that the processor has."""


def program(otherwise: int = ERRNO | errno.EPERM, calls: Sequence[str] = CALLS, machine: str | None = None) -> bytes:
    """The filter as an array of struct sock_filter; `otherwise` is what happens to all that is in no list.

    `machine` is the processor that it is for, as uname has it, else this one. Raises OSError for one that none is for.
    """
    machine = machine or os.uname().machine
    if machine not in AUDIT_ARCHITECTURES:
        raise OSError(errno.ENOTSUP, f"no filter is made for {machine}")
    numbers = NUMBERS[machine]
    code = [_load(ARCHITECTURE), _jump(EQUAL, AUDIT_ARCHITECTURES[machine], 1, 0), _give(KILL)]
    code += [_load(NUMBER), _jump(AT_LEAST, X32, 0, 1), _give(KILL)]
    code += _calls([numbers[name] for name in calls], ALLOW)
    for name, argument in LIMITED.items():
        judged = _judged(argument)
        code += [_jump(EQUAL, numbers[name], 0, len(judged)), *judged]
    code += _calls([numbers[name] for name in ABSENT], ERRNO | errno.ENOSYS)
    code += [*_calls([numbers[name] for name in DEADLY if name in numbers], KILL), _give(otherwise)]
    return b"".join(code)


def install(code: bytes) -> None:
    """For all threads of this process, for ever (TSYNC). no_new_privs must be set. Raises OSError."""
    filters = ctypes.create_string_buffer(code, len(code))
    described = struct.pack("@HP", len(code) // 8, ctypes.addressof(filters))  # struct sock_fprog
    libc = ctypes.CDLL(None, use_errno=True)
    given = ctypes.create_string_buffer(described, len(described))
    result = libc.syscall(ctypes.c_long(call_number("seccomp")), SET_MODE_FILTER, TSYNC, given)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if result > 0:  # a thread that has another filter
        raise OSError(errno.EBUSY, f"thread {result} has a filter of its own")


def _calls(numbers: Iterable[int], action: int) -> list[bytes]:
    return [code for number in numbers for code in (_jump(EQUAL, number, 0, 1), _give(action))]


def _judged(argument: Argument) -> list[bytes]:
    """Ends in a verdict, whatever it is: one that is refused looks no further."""
    code = [_load(ARGUMENTS + 8 * argument.place)]
    if argument.among:
        code += _calls(argument.among, ALLOW)
        return [*code, _give(ERRNO | errno.EPERM)]
    wanted, unwanted = (ALLOW, ERRNO | errno.EPERM) if argument.set else (ERRNO | errno.EPERM, ALLOW)
    return [*code, _jump(ANY_BIT, argument.set or argument.unset, 0, 1), _give(wanted), _give(unwanted)]


def _load(offset: int) -> bytes:
    return struct.pack("=HBBI", LOAD, 0, 0, offset)


def _jump(kind: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("=HBBI", kind, if_true, if_false, value)


def _give(action: int) -> bytes:
    return struct.pack("=HBBI", RETURN, 0, 0, action)
