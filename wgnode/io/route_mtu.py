"""MTUs of the routes into a tunnel, which may be smaller than its interface's: padding must not go beyond them either.

A TUN does not say which route a packet came by. So the device gets the MTUs of all of them, and pads a packet up to the
smallest one that it fits in: that is never more than its own route's.
"""

from __future__ import annotations

import contextlib
import socket
import struct

from wgnode.io import only
from wgnode.io.netlink import AT_ONCE, RECEIVE, Rtnetlink
from wgnode.io.rtmessages import (
    RTA_METRICS,
    RTA_OIF,
    RTAX_MTU,
    RTM_DELROUTE,
    RTM_NEWROUTE,
    RTMSG,
    attribute,
    parse_attributes,
    parse_messages,
)

RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE = 0x40, 0x400


class RouteMtus:
    """Follows the routes of one interface, by index, in the network namespace where this was made.

    `fd` is readable when routes have changed, until `read`; `mtus` has what is known, ascending. Routes by several next
    hops at once are not seen, nor any by Linux before 4.20.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.mtus: tuple[int, ...] = ()
        self._kernel = Rtnetlink()
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        only.routes_by(self._socket, index)
        self._socket.bind((0, RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE))
        self.fd = self._socket.fileno()
        self.look()

    def close(self) -> None:
        self._socket.close()
        self._kernel.close()

    def look(self) -> None:
        """Ask the kernel for all of them."""
        routes: list[bytes] = []
        with contextlib.suppress(OSError):  # ENODEV, ENOPROTOOPT
            routes = self._kernel.routes_of(self.index)
        self.mtus = tuple(sorted({mtu for body in routes if (mtu := route_mtu(body))}))

    def read(self) -> bool:
        """Whether `mtus` was looked up anew: only where it may have changed, however many other routes come and go."""
        concerned = False
        for _ in range(AT_ONCE):
            try:
                data = self._socket.recv(RECEIVE)
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: more than we could be told
                concerned = True
                continue
            concerned = concerned or any(self._concerns(kind, body) for kind, _, body in parse_messages(data))
        if concerned:
            self.look()
        return concerned

    def _concerns(self, kind: int, body: bytes) -> bool:
        """A route without an MTU matters only where it may replace one that has."""
        if kind not in (RTM_NEWROUTE, RTM_DELROUTE) or attribute(RTA_OIF, struct.pack("=i", self.index)) not in body:
            return False
        return bool(self.mtus) or route_mtu(body) is not None


def route_mtu(body: bytes) -> int | None:
    """The MTU, in bytes, that a route's message gives it, if any."""
    metrics = parse_attributes(parse_attributes(body[RTMSG.size :]).get(RTA_METRICS, b""))
    return int(struct.unpack("=I", metrics[RTAX_MTU])[0]) if RTAX_MTU in metrics else None
