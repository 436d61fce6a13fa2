"""Whether a host passes whole trains of UDP datagrams between its guests and its network (USO), by its versions. Pure.

A train that has to be cut before a card and put together after it costs guest and host a pass of their networks for
each datagram. docs/decisions/virtio.md.
"""

from __future__ import annotations

import re

QEMU = (8, 2)
"""The first that offers a guest VIRTIO_NET_F_HOST_USO and VIRTIO_NET_F_GUEST_USO4/6."""
LINUX = (6, 2)
"""The first whose taps take TUN_F_USO4 and TUN_F_USO6, without which QEMU withdraws its offer."""


def carried(qemu: str, kernel: str) -> bool | None:
    """By the version of Debian's package and by `uname -r`; None where QEMU is not installed, or not just now."""
    if not qemu:
        return None
    return _version(qemu) >= QEMU and _version(kernel) >= LINUX


def _version(text: str) -> tuple[int, ...]:
    """The first two numbers, behind Debian's epoch; () for one that does not begin with any."""
    found = re.match(r"(?:\d+:)?(\d+)(?:\.(\d+))?", text)
    return (int(found[1]), int(found[2] or 0)) if found else ()
