"""Packet-too-big about our datagrams, by raw sockets (raw(7)) whose filters let nothing else through.

Not by IP_RECVERR on the sockets themselves: each error, forged ones too, would make the next sending or receiving there
fail, whoever's it is.
"""

from __future__ import annotations

import contextlib
import socket

from wgnode.pathmtu.said import UDP, Said, read4, read6
from wgnode.platform.linux.bpf import (
    INDEX_OF_HEADER,
    INDEXED_BYTE,
    INDEXED_HALF,
    LOAD_BYTE,
    LOAD_HALF,
    program,
    raw_socket,
)

LONGEST = 128
"""Bytes of what comes that are looked at: both headers, and the beginning of the message."""
BUFFER = 1 << 15
"""Bytes: a flood is lost in the kernel."""


class TooBigs:
    """Those about datagrams from one port. Raises OSError (EPERM without CAP_NET_RAW) with nothing open."""

    def __init__(self, port: int) -> None:
        self._port = port
        with contextlib.ExitStack() as failing:
            self._v4 = failing.enter_context(raw_socket(socket.AF_INET, socket.IPPROTO_ICMP, filter4(port), BUFFER))
            self._v6 = None
            with contextlib.suppress(OSError):  # a machine without IPv6
                self._v6 = failing.enter_context(
                    raw_socket(socket.AF_INET6, socket.IPPROTO_ICMPV6, filter6(port), BUFFER)
                )
            failing.pop_all()

    @property
    def fds(self) -> list[int]:
        return [each.fileno() for each in (self._v4, self._v6) if each is not None]

    def read(self, most: int) -> tuple[list[Said], bool]:
        """Of `most` that wait, those that can be believed; and whether there may be more."""
        found, full = [], False
        for each, read in ((self._v4, read4), (self._v6, read6)):
            left = most
            while each is not None and left and (data := _receive(each)) is not None:
                left -= 1
                if (said := read(data, self._port)) is not None:
                    found.append(said)
            full |= not left
        return found, full

    def close(self) -> None:
        for each in (self._v4, self._v6):
            if each is not None:
                each.close()


def filter4(port: int) -> bytes:
    """Classic BPF over a whole IPv4 packet."""
    return program(
        [
            (INDEX_OF_HEADER, 0, None),  # X: bytes of the header
            (INDEXED_HALF, 0, 0x0304),
            (INDEXED_BYTE, 8 + 9, UDP),
            (INDEXED_HALF, 8 + 20, port),
        ],
        LONGEST,
    )


def filter6(port: int) -> bytes:
    """Over an ICMPv6 message."""
    return program([(LOAD_HALF, 0, 0x0200), (LOAD_BYTE, 8 + 6, UDP), (LOAD_HALF, 8 + 40, port)], LONGEST)


def _receive(made: socket.socket) -> bytes | None:
    try:
        return made.recv(LONGEST)
    except OSError:
        return None
