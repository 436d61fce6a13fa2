"""Numbers of the system calls that we name, by processor (uname(2)'s machine), from the kernel's tables."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

X86_64 = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11,
    "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16, "pread64": 17, "readv": 19,
    "writev": 20, "access": 21, "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35, "getpid": 39,
    "socket": 41, "connect": 42, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "shutdown": 48, "bind": 49,
    "getsockname": 51, "setsockopt": 54, "getsockopt": 55, "clone": 56, "fork": 57, "vfork": 58, "execve": 59,
    "exit": 60, "uname": 63, "fcntl": 72, "readlink": 89, "gettimeofday": 96, "sysinfo": 99, "ptrace": 101,
    "sigaltstack": 131, "pivot_root": 155, "prctl": 157, "chroot": 161, "sync": 162, "mount": 165, "umount2": 166,
    "reboot": 169, "iopl": 172, "ioperm": 173, "init_module": 175, "delete_module": 176, "gettid": 186, "futex": 202,
    "sched_getaffinity": 204, "getdents64": 217, "restart_syscall": 219, "clock_settime": 227, "clock_gettime": 228,
    "clock_nanosleep": 230, "exit_group": 231, "epoll_wait": 232, "epoll_ctl": 233, "tgkill": 234, "kexec_load": 246,
    "add_key": 248, "keyctl": 250, "openat": 257, "newfstatat": 262, "unshare": 272, "set_robust_list": 273,
    "timerfd_create": 283, "timerfd_settime": 286, "accept4": 288, "eventfd2": 290, "epoll_create1": 291, "pipe2": 293,
    "perf_event_open": 298, "recvmmsg": 299, "prlimit64": 302, "sendmmsg": 307, "setns": 308, "process_vm_readv": 310,
    "process_vm_writev": 311, "finit_module": 313, "seccomp": 317, "getrandom": 318, "memfd_create": 319,
    "kexec_file_load": 320, "bpf": 321, "execveat": 322, "userfaultfd": 323, "membarrier": 324, "statx": 332,
    "rseq": 334, "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsmount": 432,
    "clone3": 435,
}  # fmt: skip
"""arch/x86/entry/syscalls/syscall_64.tbl."""
AARCH64 = {
    "eventfd2": 19, "epoll_create1": 20, "epoll_ctl": 21, "epoll_wait": 22, "fcntl": 25, "ioctl": 29, "umount2": 39,
    "mount": 40, "pivot_root": 41, "access": 48, "chroot": 51, "openat": 56, "close": 57, "pipe2": 59, "getdents64": 61,
    "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67, "poll": 73, "readlink": 78,
    "newfstatat": 79, "fstat": 80, "sync": 81, "timerfd_create": 85, "timerfd_settime": 86, "exit": 93,
    "exit_group": 94, "unshare": 97, "futex": 98, "set_robust_list": 99, "nanosleep": 101, "kexec_load": 104,
    "init_module": 105, "delete_module": 106, "clock_settime": 112, "clock_gettime": 113, "clock_nanosleep": 115,
    "ptrace": 117, "sched_getaffinity": 123, "sched_yield": 124, "restart_syscall": 128, "tgkill": 131,
    "sigaltstack": 132, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "reboot": 142, "uname": 160,
    "prctl": 167, "gettimeofday": 169, "getpid": 172, "gettid": 178, "sysinfo": 179, "socket": 198, "bind": 200,
    "connect": 203, "getsockname": 204, "sendto": 206, "recvfrom": 207, "setsockopt": 208, "getsockopt": 209,
    "shutdown": 210, "sendmsg": 211, "recvmsg": 212, "brk": 214, "munmap": 215, "mremap": 216, "add_key": 217,
    "keyctl": 219, "clone": 220, "execve": 221, "mmap": 222, "mprotect": 226, "madvise": 233, "perf_event_open": 241,
    "accept4": 242, "recvmmsg": 243, "prlimit64": 261, "setns": 268, "sendmmsg": 269, "process_vm_readv": 270,
    "process_vm_writev": 271, "finit_module": 273, "seccomp": 277, "getrandom": 278, "memfd_create": 279, "bpf": 280,
    "execveat": 281, "userfaultfd": 282, "membarrier": 283, "statx": 291, "rseq": 293, "kexec_file_load": 294,
    "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsmount": 432, "clone3": 435,
}  # fmt: skip
"""include/uapi/asm-generic/unistd.h. It has no access, epoll_wait, poll and readlink: these are the numbers of
faccessat, epoll_pwait, ppoll and readlinkat, which its C library makes instead. It lacks fork, vfork, iopl, ioperm."""
NUMBERS: Mapping[str, Mapping[str, int]] = {"x86_64": X86_64, "aarch64": AARCH64}


def number(name: str) -> int:
    """On this machine. Raises OSError (ENOSYS) where it has none that we know."""
    machine = os.uname().machine
    try:
        return NUMBERS[machine][name]
    except KeyError:
        raise OSError(errno.ENOSYS, f"no number of system call {name} is known on {machine}") from None
