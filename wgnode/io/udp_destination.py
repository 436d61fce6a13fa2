"""Where datagrams go, as the kernel wants it."""

from __future__ import annotations

import errno
import socket
from typing import NamedTuple

from wgnode.io.sticky import Ancillary

SOURCE_GONE = (errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENODEV)
"""What sending from an address may bring that sending from any would not."""

SocketAddress = tuple[str, int] | tuple[str, int, int, int]


class Destination(NamedTuple):
    """What sendmsg wants: of which socket, to where, and ancillary data with the source address, if any."""

    socket: socket.socket
    address: SocketAddress
    ancillary: Ancillary
    tunnel_mtu: int | None = None
    """Of the other tunnel that it leaves by, if any."""
    checked: bool = True
    """Whether the kernel was asked about its path."""
    fragmenting: socket.socket | None = None
    """For what may be fragmented, where that is another one."""

    def send(self, data: bytes, fragments: bool) -> bool:
        """From its source address; where that alone is why not, from any, and False then. Raises OSError."""
        by = self.fragmenting if fragments and self.fragmenting is not None else self.socket
        if self.ancillary:
            try:
                by.sendmsg((data,), self.ancillary, 0, self.address)
                return True
            except OSError as error:
                if error.errno not in SOURCE_GONE:
                    raise
        by.sendto(data, self.address)
        return not self.ancillary


def ipv6_address(address: str, port: int) -> SocketAddress:
    if "%" not in address:
        return (address, port)
    host, _, scope = address.partition("%")
    return (host, port, 0, int(scope) if scope.isdigit() else socket.if_nametoindex(scope))
