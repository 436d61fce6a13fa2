"""Give up capabilities for good (capabilities(7)); the numbers are linux/capability.h's."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable

NET_BIND_SERVICE, NET_ADMIN, NET_RAW, SYS_BOOT, SYS_TIME = 10, 12, 13, 22, 25
KEPT = (NET_BIND_SERVICE, NET_ADMIN, NET_RAW, SYS_BOOT, SYS_TIME)
"""Of a gateway that is set up. A live change may ask for a port below 1024, for addresses and routes; packet and raw
sockets announce addresses and read what ICMP says; the machine is ended by us, and its clock is the host's."""

PR_CAPBSET_DROP, PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS = 24, 28, 38
SECUREBITS = 0xEF
"""Nothing is given back to user 0, nor by a change of the user, nor as ambient; all locked (linux/securebits.h)."""
_VERSION_3 = 0x20080522
LAST = "/proc/sys/kernel/cap_last_cap"

_libc = ctypes.CDLL(None, use_errno=True)


def mask(numbers: Iterable[int]) -> int:
    """As /proc/PID/status shows a set."""
    return sum(1 << number for number in set(numbers))


def dropped(kept: Iterable[int], last: int) -> list[int]:
    """Of the kernel's, whose highest is `last`, those that go."""
    return sorted(set(range(last + 1)) - set(kept))


def keep_only(kept: Iterable[int] = KEPT) -> None:
    """In this thread, and in those that it starts from now on. Raises OSError."""
    with open(LAST) as last:
        gone = dropped(kept, int(last.read()))
    for number in gone:
        _check(_libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0), f"capability {number}")
    _check(_libc.prctl(PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0), "securebits")
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)(*sets(mask(kept)))), "capset")


def sets(wanted: int) -> list[int]:
    """Effective, permitted and inheritable, the low 32 bits of each and then the high ones (linux/capability.h)."""
    low, high = wanted & 0xFFFFFFFF, wanted >> 32
    return [low, low, 0, high, high, 0]


def no_new_privileges() -> None:
    """What is executed gains nothing by it (Documentation/userspace-api/no_new_privs.rst). Raises OSError."""
    _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
