"""UDP over IPv6 in fragments that we cut ourselves (RFC 8200 section 4.5).

Only the sender fragments there, and the kernel does so for what it has been told of a path, which is nothing where
routers are silent. We know: a size was proven. A raw socket puts the IPv6 header before each fragment.
"""

from __future__ import annotations

import os
import socket
import struct

from wgnode.io.sticky import IN6_PKTINFO
from wgnode.pathmtu.checksum import checksum, pseudo_header
from wgnode.platform.linux.send_only import take_nothing

IPPROTO_FRAGMENT = 44
IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE = 23, 3
IPV6_HEADER, FRAGMENT_HEADER, UDP_HEADER = 40, 8, 8
UNIT = 8
"""Offsets count 8 bytes."""


class Fragments6:
    """A raw socket that only sends. Raises OSError: EPERM without CAP_NET_RAW."""

    def __init__(self, fwmark: int) -> None:
        self._raw = socket.socket(
            socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, IPPROTO_FRAGMENT
        )
        self._raw.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE)
        take_nothing(self._raw)
        if fwmark:
            self.mark(fwmark)

    def fileno(self) -> int:
        return self._raw.fileno()

    def mark(self, fwmark: int) -> None:
        self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, fwmark)

    def send(self, data: bytes, ports: tuple[int, int], source: bytes, to: tuple[str, int], size: int) -> None:
        """A UDP payload in IP packets of at most `size` bytes. `ports` are ours and theirs, `to` has their address and
        its scope. Raises OSError where a piece is not sent; the others are lost then as well."""
        information = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, IN6_PKTINFO.pack(source, 0))]
        theirs = socket.inet_pton(socket.AF_INET6, to[0])
        for piece in pieces(datagram(data, ports, source, theirs), size, os.urandom(4)):
            self._raw.sendmsg([piece], information, 0, (to[0], 0, 0, to[1]))

    def close(self) -> None:
        self._raw.close()


def datagram(data: bytes, ports: tuple[int, int], source: bytes, destination: bytes) -> bytes:
    """With its UDP header; a checksum of 0 is written as 0xffff (RFC 8200 section 8.1)."""
    length = UDP_HEADER + len(data)
    head = struct.pack(">HHH", *ports, length)
    start = pseudo_header(source, destination, socket.IPPROTO_UDP, length)
    return head + struct.pack(">H", checksum(head + b"\0\0" + data, start) or 0xFFFF) + data


def pieces(whole: bytes, size: int, identification: bytes) -> list[bytes]:
    """Fragment headers with what follows each, for IPv6 packets of at most `size` bytes. Raises ValueError."""
    room = (size - IPV6_HEADER - FRAGMENT_HEADER) // UNIT * UNIT
    if room < UNIT:
        raise ValueError(f"packets of {size} bytes hold no fragment")
    return [
        struct.pack(">BBH", socket.IPPROTO_UDP, 0, at | (at + room < len(whole)))
        + identification
        + whole[at : at + room]
        for at in range(0, len(whole), room)
    ]
