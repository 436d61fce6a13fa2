"""What the ways to peers lead over: a shell's sockets, and what the kernel knows."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable
from typing import Protocol

from wgnode.io.udp import UdpSockets
from wgnode.platform import Hearing, Routing, SocketOptions
from wgnode.protocol.endpoint import Endpoint


class Ground(Protocol):
    """As Paths has it."""

    def probe(self, data: bytes, endpoint: Endpoint) -> int:
        """Send at once, unfragmented, or not at all: 0, or the errno."""

    def own_address(self, theirs: bytes) -> bytes | None:
        """Our tunnel address, 4 or 16 bytes, that packets to this one leave from; None where there is none."""

    def leaves_by(self, endpoint: Endpoint) -> int | None:
        """Index of the interface by which datagrams to it leave; None where that is not known."""

    def link_mtu(self, index: int) -> int | None:
        """Of the interface with this index, None where that is not known."""

    def hear(self, endpoint: Endpoint) -> Hearing | None:
        """What comes from there in one piece, from now on; None where that can't be told."""

    def fragment_at(self, endpoint: Endpoint, size: int | None) -> None:
        """Wire bytes that are proven to pass to it, for what has to be fragmented outside; None: not known."""


class ShellGround:
    """`udp()` are the sockets of now, `tunnel()` the interface's name of now."""

    def __init__(
        self,
        udp: Callable[[], UdpSockets | None],
        options: SocketOptions,
        routing: Routing,
        tunnel: Callable[[], str],
    ) -> None:
        self._udp, self._options, self._routing, self._tunnel = udp, options, routing, tunnel

    def probe(self, data: bytes, endpoint: Endpoint) -> int:
        udp = self._udp()
        return errno.ENOTCONN if udp is None else udp.probe(data, endpoint)

    def own_address(self, theirs: bytes) -> bytes | None:
        with contextlib.suppress(OSError):
            return self._routing.own_address(theirs, socket.if_nametoindex(self._tunnel()))
        return None

    def leaves_by(self, endpoint: Endpoint) -> int | None:
        udp = self._udp()
        return None if udp is None else udp.leaves_by(endpoint)

    def link_mtu(self, index: int) -> int | None:
        with contextlib.suppress(OSError):
            return self._routing.mtu(index)
        return None

    def hear(self, endpoint: Endpoint) -> Hearing | None:
        udp = self._udp()
        with contextlib.suppress(OSError):  # EPERM without CAP_NET_RAW
            return None if udp is None else self._options.whole_messages(udp.port, endpoint)
        return None

    def fragment_at(self, endpoint: Endpoint, size: int | None) -> None:
        udp = self._udp()
        if udp is not None:
            udp.cuts.set(endpoint, size)
