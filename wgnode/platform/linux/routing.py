"""The kernel's routing: which way a datagram takes, and that it may be another one now (rtnetlink(7))."""

from __future__ import annotations

import contextlib
import socket

from wgnode.io.netlink import Rtnetlink
from wgnode.io.netlink import monitor as told
from wgnode.io.netlink.monitor import Subscription
from wgnode.io.sticky import Tunnels
from wgnode.protocol.endpoint import Endpoint

GROUPS = (
    told.RTMGRP_LINK
    | (told.RTMGRP_IPV4_IFADDR | told.RTMGRP_IPV4_ROUTE | told.RTMGRP_IPV4_RULE)
    | (told.RTMGRP_IPV6_IFADDR | told.RTMGRP_IPV6_ROUTE | told.RTMGRP_IPV6_RULE)
)


class RoutingWatch:
    """Asks the kernel for routes, and tells when they may have changed: `fd` is then readable, until `read`."""

    def __init__(self) -> None:
        self._kernel = Rtnetlink()
        self._changes = Subscription(GROUPS)
        self.fd = self._changes.fd

    def close(self) -> None:
        self._changes.close()
        self._kernel.close()

    def read(self) -> bool:
        """Whether anything was told; what it was does not matter."""
        return sum(1 for _ in self._changes.told(size=1)) > 0

    def tunnels(self) -> Tunnels:
        """MTU by index of every interface without a link layer, as it is now. Only those asked for are looked at."""
        return _LookedAt(self._kernel)

    def interface(self, endpoint: Endpoint, fwmark: int) -> int:
        """Index of the interface by which a datagram from `endpoint.source` leaves. Raises OSError."""
        address, _, scope = endpoint.address.partition("%")
        if scope:  # link-local: there is no choice
            return int(scope) if scope.isdigit() else socket.if_nametoindex(scope)
        return self._kernel.output_interface(address, source=endpoint.source, fwmark=fwmark)

    def mtu(self, interface: int) -> int:
        return self._kernel.link_at(interface).mtu

    def own_address(self, theirs: bytes, interface: int) -> bytes | None:
        index, source = self._kernel.way_to(theirs)
        return source if index == interface else None


class _LookedAt:
    """Tunnels, each asked of the kernel once: a machine may have thousands of other interfaces."""

    def __init__(self, kernel: Rtnetlink) -> None:
        self._kernel, self._known = kernel, dict[int, int | None]()

    def get(self, index: int, /) -> int | None:
        if index not in self._known:
            self._known[index] = None
            with contextlib.suppress(OSError):
                link = self._kernel.link_at(index)
                self._known[index] = link.mtu if link.tunnel else None
        return self._known[index]
