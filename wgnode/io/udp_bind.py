"""The outer sockets as they are made: one a family, on one port, with the buffers that the data plane wants."""

from __future__ import annotations

import errno
import socket

from wgnode.io import fragments
from wgnode.io.sticky import ask_for_local_address

SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
BUFFER = 1 << 20
"""Bytes of each socket buffer (Linux doubles it for its own needs): a few milliseconds at the rates that we reach. More
would be waiting time for whoever shares the tunnel with a transfer (docs/decisions/waiting-time.md)."""
PORT_ATTEMPTS = 16
NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def bind_pair(port: int, fwmark: int) -> dict[int, socket.socket]:
    """One socket a family, IPv6 only where the machine has it. A free port is one that is free in both."""
    for attempt in range(PORT_ATTEMPTS):
        first = _bind(socket.AF_INET, port, fwmark)
        try:
            second = _bind(socket.AF_INET6, int(first.getsockname()[1]), fwmark)
        except OSError as error:
            if error.errno in NO_IPV6:
                return {socket.AF_INET: first}
            first.close()
            if port or error.errno != errno.EADDRINUSE or attempt == PORT_ATTEMPTS - 1:
                raise
        else:
            return {socket.AF_INET: first, socket.AF_INET6: second}
    raise AssertionError("unreachable")


def _bind(family: socket.AddressFamily, port: int, fwmark: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if fwmark:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, fwmark)
        for forced, ordinary in ((SO_SNDBUFFORCE, socket.SO_SNDBUF), (SO_RCVBUFFORCE, socket.SO_RCVBUF)):
            _enlarge(made, forced, ordinary)
        ask_for_local_address(made)
        fragments.allow(made)
        made.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
    except BaseException:
        made.close()
        raise
    return made


def _enlarge(made: socket.socket, forced: int, ordinary: int) -> None:
    try:
        made.setsockopt(socket.SOL_SOCKET, forced, BUFFER)
    except PermissionError:
        made.setsockopt(socket.SOL_SOCKET, ordinary, BUFFER)
