"""Messages that come from one endpoint, and whether they come in one piece: a raw socket (raw(7)) for some seconds.

A reassembled datagram says how long its pieces were (IP_RECVFRAGSIZE, IPV6_RECVFRAGSIZE of linux/in.h, since Linux
4.10), one that came whole says nothing. The sockets that receive for the planes are left alone.
"""

from __future__ import annotations

import contextlib
import socket

from wgnode.pathmtu.pieces import Whole, whole
from wgnode.platform.linux.bpf import (
    INDEX_OF_HEADER,
    INDEXED_BYTE,
    INDEXED_HALF,
    LOAD_BYTE,
    LOAD_HALF,
    program,
    raw_socket,
)
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.messages import TRANSPORT

IP_RECVFRAGSIZE, IPV6_RECVFRAGSIZE = 25, 77
LONGEST = 65535
BUFFER = 1 << 19
"""Bytes: what a fast peer sends beside it is lost, and what is lost says nothing."""
MOST = 256
"""Messages of one reading."""


class WholeMessages:
    """Transport messages from one endpoint to a port of ours. Raises OSError (EPERM without CAP_NET_RAW)."""

    def __init__(self, port: int, endpoint: Endpoint) -> None:
        self._family = 6 if ":" in endpoint.address else 4
        self._address = endpoint.address.partition("%")[0]
        ports = [(0, endpoint.port), (2, port)]
        if self._family == 4:
            code = program(
                [
                    (INDEX_OF_HEADER, 0, None),
                    *((INDEXED_HALF, at, each) for at, each in ports),
                    (INDEXED_BYTE, 8, TRANSPORT),
                ],
                LONGEST,
            )
            self._socket = raw_socket(socket.AF_INET, socket.IPPROTO_UDP, code, BUFFER)
            self._socket.setsockopt(socket.IPPROTO_IP, IP_RECVFRAGSIZE, 1)
        else:
            code = program([*((LOAD_HALF, at, each) for at, each in ports), (LOAD_BYTE, 8, TRANSPORT)], LONGEST)
            self._socket = raw_socket(socket.AF_INET6, socket.IPPROTO_UDP, code, BUFFER)
            self._socket.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVFRAGSIZE, 1)

    def read(self) -> list[Whole]:
        found = []
        with contextlib.suppress(OSError):
            for _ in range(MOST):
                data, ancillary, _, address = self._socket.recvmsg(LONGEST, socket.CMSG_SPACE(4))
                if ancillary or address[0].partition("%")[0] != self._address:
                    continue
                header = (data[0] & 15) * 4 if self._family == 4 else 0
                if (one := whole(data[header:], self._family)) is not None:
                    found.append(one)
        return found

    def close(self) -> None:
        self._socket.close()
