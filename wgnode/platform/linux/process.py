"""What a process that holds private keys does first."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource

PR_SET_DUMPABLE = 4
MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4
CAP_IPC_LOCK = 14
NOT_LOCKED = "keys may be swapped to disk; allow it by CAP_IPC_LOCK, or by LimitMEMLOCK=infinity in a unit"


def forbid_core_dumps() -> None:
    """No memory image on disk, no reading of our memory by other processes of the same user."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def lock_memory() -> str | None:
    """Keep all memory out of swap, each page as it is first used. None, or why not, in a sentence for a person.

    A fork's child has to do it again. Under a limit nothing is locked: memory would end there, in the middle of work.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if limit != resource.RLIM_INFINITY and not _may_lock_without_limit():
        return f"memory is not locked: only {limit} bytes of it may be; {NOT_LOCKED}"
    if ctypes.CDLL(None, use_errno=True).mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT):
        return f"memory is not locked: {os.strerror(ctypes.get_errno())}; {NOT_LOCKED}"
    return None


def _may_lock_without_limit() -> bool:
    with open("/proc/self/status") as status:
        (effective,) = (line.split()[1] for line in status if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> CAP_IPC_LOCK & 1)
