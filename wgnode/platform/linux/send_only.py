"""A second UDP socket on a bound one's port, which sends and never receives (docs/decisions/outer-fragments.md).

Both are made one group (socket(7) SO_REUSEPORT) whose filter always says: the first. The first one joins when it is
bound already, so that a port which another program has is refused as ever; and no other program that does not ask for
the group gets the port. A second socket of another kind would not do: a raw one needs CAP_NET_RAW, a checksum by hand,
and knows no UDP_SEGMENT.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct

SO_REUSEPORT, SO_ATTACH_REUSEPORT_CBPF = 15, 51
BPF_RETURN = 0x06
FIRST = 0
ENOUGH = 64
"""Datagrams that may have come to the second socket before the filter was there."""


def beside(made: socket.socket) -> socket.socket:
    """The second socket, bound and with its group's filter. Raises OSError with `made` as it was."""
    second = socket.socket(made.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if made.family == socket.AF_INET6:
            second.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for each in (made, second):
            each.setsockopt(socket.SOL_SOCKET, SO_REUSEPORT, 1)
        second.bind(made.getsockname())
        _always_the_first(made)
        _drain(second)
    except BaseException:
        second.close()
        made.setsockopt(socket.SOL_SOCKET, SO_REUSEPORT, 0)
        raise
    return second


def _always_the_first(made: socket.socket) -> None:
    """Sockets of a group are numbered as they were bound, and one that is closed gives its number to the last: so the
    second is to be closed before the first."""
    code = ctypes.create_string_buffer(struct.pack("=HBBI", BPF_RETURN, 0, 0, FIRST))
    program = struct.pack("@HP", 1, ctypes.addressof(code))
    made.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program)


def _drain(second: socket.socket) -> None:
    """What was meant for the first in that instant is lost, as it would have been a moment before it was bound."""
    with contextlib.suppress(OSError):
        for _ in range(ENOUGH):
            second.recv(1)
