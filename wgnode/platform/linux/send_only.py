"""More UDP sockets on a bound one's port, which send and never receive (docs/decisions/outer-fragments.md).

They are bound to a multicast address that no group may have: what they send leaves from whatever address the routes or
the caller choose, as from the first, and what comes in for the port is never theirs. The kernel finds the first as if
there were no others, so receiving costs what it always did. A socket of another kind would not do: a raw one needs
CAP_NET_RAW, a checksum by hand, and knows no UDP_SEGMENT.
"""

from __future__ import annotations

import ctypes
import socket
import struct

SO_REUSEPORT, SO_ATTACH_FILTER = 15, 26
BPF_RETURN, NOTHING = 0x06, 0
NOBODYS = {socket.AF_INET: "224.0.0.0", socket.AF_INET6: "ff00::"}
"""Never assigned to a group (RFC 1112 section 4), and of a scope that is reserved (RFC 4291 section 2.7)."""


def beside(made: socket.socket) -> socket.socket:
    """Another one on the port of `made`, which is bound. Raises OSError with `made` as it was.

    A port that another program has is refused as ever, and nobody gets ours: only while the other one is bound does
    `made` allow it, and then to this user's sockets alone.
    """
    more = socket.socket(made.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if made.family == socket.AF_INET6:
            more.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        take_nothing(more)
        _share(more, made)
    except BaseException:
        more.close()
        raise
    return more


def take_nothing(made: socket.socket) -> None:
    """A filter that drops whatever comes in."""
    code = ctypes.create_string_buffer(struct.pack("=HBBI", BPF_RETURN, 0, 0, NOTHING))
    made.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(code)))


def _share(more: socket.socket, made: socket.socket) -> None:
    """Each address of the family is the first one's, so the kernel asks both whether they mean it."""
    try:
        for each in (made, more):
            each.setsockopt(socket.SOL_SOCKET, SO_REUSEPORT, 1)
        more.bind((NOBODYS[made.family], made.getsockname()[1]))
    finally:
        for each in (made, more):
            each.setsockopt(socket.SOL_SOCKET, SO_REUSEPORT, 0)
