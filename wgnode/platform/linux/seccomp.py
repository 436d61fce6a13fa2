"""The system calls that a running node makes, and none else (seccomp(2)): a filter for the kernel, made here as bytes.

What a node has no use for is refused (EPERM). What only an attacker would try ends the process, hence the machine. The
list was measured on both planes (docs/decisions/confinement.md).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SYS_SECCOMP, SET_MODE_FILTER, TSYNC = 317, 1, 1
AUDIT_ARCH_X86_64 = 0xC000003E
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


CALLS = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "munmap": 11, "brk": 12, "rt_sigaction": 13,
    "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16, "pread64": 17, "readv": 19, "writev": 20, "access": 21,
    "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35, "getpid": 39, "connect": 42, "sendto": 44,
    "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "shutdown": 48, "bind": 49, "getsockname": 51, "setsockopt": 54,
    "getsockopt": 55, "exit": 60, "uname": 63, "fcntl": 72, "readlink": 89, "gettimeofday": 96, "sysinfo": 99,
    "sigaltstack": 131,
    "sync": 162, "gettid": 186, "futex": 202, "sched_getaffinity": 204, "getdents64": 217, "restart_syscall": 219,
    "clock_settime": 227, "clock_gettime": 228, "clock_nanosleep": 230, "exit_group": 231, "epoll_wait": 232,
    "epoll_ctl": 233, "tgkill": 234, "newfstatat": 262, "set_robust_list": 273, "timerfd_create": 283, "eventfd2": 290,
    "epoll_create1": 291, "timerfd_settime": 286, "pipe2": 293, "recvmmsg": 299, "sendmmsg": 307, "getrandom": 318,
    "membarrier": 324, "statx": 332, "rseq": 334,
}  # fmt: skip
"""arch/x86/entry/syscalls/syscall_64.tbl."""
OF_A_LISTENER = {"accept4": 288}
"""More, for a node that its host calls by a socket (hosted.py)."""
LIMITED: Mapping[str, tuple[int, Argument]] = {
    "mmap": (9, Argument(2, unset=PROT_EXEC)),
    "mprotect": (10, Argument(2, unset=PROT_EXEC)),
    "socket": (41, Argument(0, (AF_INET, AF_INET6, AF_NETLINK, AF_PACKET))),
    "clone": (56, Argument(0, set=CLONE_THREAD)),
    "prctl": (157, Argument(0, (PR_SET_NAME,))),
    "reboot": (169, Argument(2, (RB_AUTOBOOT,))),
    "prlimit64": (302, Argument(2, (0,))),
    "openat": (257, Argument(2, unset=O_CREAT)),
}
"""No code is made or mapped, no process started, no file created."""
ABSENT = {"clone3": 435}
"""Said to be unknown (ENOSYS): the C library then takes clone, whose flags can be judged."""
DEADLY = {
    "execve": 59, "execveat": 322, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "init_module": 175,
    "finit_module": 313, "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320, "mount": 165, "umount2": 166,
    "pivot_root": 155, "chroot": 161, "move_mount": 429, "open_tree": 428, "fsopen": 430, "fsmount": 432,
    "unshare": 272, "setns": 308, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425,
    "iopl": 172, "ioperm": 173, "keyctl": 250, "add_key": 248, "memfd_create": 319, "fork": 57, "vfork": 58,
}  # fmt: skip


def program(otherwise: int = ERRNO | errno.EPERM, calls: Mapping[str, int] = CALLS) -> bytes:
    """The filter as an array of struct sock_filter; `otherwise` is what happens to all that is in no list."""
    code = [_load(ARCHITECTURE), _jump(EQUAL, AUDIT_ARCH_X86_64, 1, 0), _give(KILL)]
    code += [_load(NUMBER), _jump(AT_LEAST, X32, 0, 1), _give(KILL)]
    code += _calls(calls.values(), ALLOW)
    for number, argument in LIMITED.values():
        judged = _judged(argument)
        code += [_jump(EQUAL, number, 0, len(judged)), *judged]
    code += [*_calls(ABSENT.values(), ERRNO | errno.ENOSYS), *_calls(DEADLY.values(), KILL), _give(otherwise)]
    return b"".join(code)


def install(code: bytes) -> None:
    """For all threads of this process, for ever (TSYNC). no_new_privs must be set. Raises OSError."""
    if os.uname().machine != "x86_64":
        raise OSError(errno.ENOTSUP, f"no filter is made for {os.uname().machine}")
    filters = ctypes.create_string_buffer(code, len(code))
    described = struct.pack("@HP", len(code) // 8, ctypes.addressof(filters))  # struct sock_fprog
    libc = ctypes.CDLL(None, use_errno=True)
    given = ctypes.create_string_buffer(described, len(described))
    result = libc.syscall(ctypes.c_long(SYS_SECCOMP), SET_MODE_FILTER, TSYNC, given)
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
