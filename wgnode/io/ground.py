"""What the ways to peers lead over, as a shell has it: see paths.Ground."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable

from wgnode.io.udp import UdpSockets
from wgnode.platform import Hearing, Routing, SocketOptions
from wgnode.protocol.endpoint import Endpoint


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
