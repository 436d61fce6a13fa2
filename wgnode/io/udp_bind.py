"""The outer sockets as they are made: one a family, on one port."""

from __future__ import annotations

import errno
import socket

from wgnode.platform import SocketOptions

PORT_ATTEMPTS = 16
NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def bind_pair(port: int, fwmark: int, options: SocketOptions | None) -> dict[int, socket.socket]:
    """One socket a family, IPv6 only where the machine has it. A free port is one that is free in both.

    Raises OSError (EADDRINUSE, EACCES; EPERM or EOPNOTSUPP for a fwmark).
    """
    for attempt in range(PORT_ATTEMPTS):
        first = _bind(socket.AF_INET, port, fwmark, options)
        try:
            second = _bind(socket.AF_INET6, int(first.getsockname()[1]), fwmark, options)
        except OSError as error:
            if error.errno in NO_IPV6:
                return {socket.AF_INET: first}
            first.close()
            if port or error.errno != errno.EADDRINUSE or attempt == PORT_ATTEMPTS - 1:
                raise
        else:
            return {socket.AF_INET: first, socket.AF_INET6: second}
    raise AssertionError("unreachable")


def forbid_fragments(
    bound: dict[int, socket.socket], fwmark: int, options: SocketOptions | None
) -> dict[int, socket.socket]:
    """Sockets for what may be fragmented, by family, as far as there are any; `bound` are not fragmented there.

    Raises OSError, with all of them closed.
    """
    made: dict[int, socket.socket] = {}
    try:
        for family, each in bound.items():
            second = None if options is None else options.forbid_fragments(each, fwmark)
            if second is not None:
                made[family] = second
    except BaseException:
        for each in (*made.values(), *bound.values()):
            each.close()
        raise
    return made


def mark(made: socket.socket, fwmark: int, options: SocketOptions | None) -> None:
    """Raises OSError, EOPNOTSUPP where the platform has no marks; 0 is what a socket has anyway."""
    refuse_mark(fwmark, options)
    if options is not None:
        options.mark(made, fwmark)


def refuse_mark(fwmark: int, options: SocketOptions | None) -> None:
    """Raises OSError (EOPNOTSUPP) for a mark where the platform has none."""
    if fwmark and options is None:
        raise OSError(errno.EOPNOTSUPP, f"fwmark {fwmark:#x}: this platform marks no datagrams; set it to 0")


def _bind(family: socket.AddressFamily, port: int, fwmark: int, options: SocketOptions | None) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if fwmark:
            mark(made, fwmark, options)
        if options is not None:
            options.prepare(made)
        made.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
    except BaseException:
        made.close()
        raise
    return made
