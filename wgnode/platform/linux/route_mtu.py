"""MTUs of the routes into a tunnel, which may be smaller than its interface's: padding must not go beyond them either.

A TUN does not say which route a packet came by. So the device gets the MTUs of all of them, and pads a packet up to the
smallest one that it fits in: that is never more than its own route's.
"""

from __future__ import annotations

from wgnode.io.netlink import Rtnetlink, filters
from wgnode.io.netlink.codec import parse_messages
from wgnode.io.netlink.monitor import RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE, Subscription
from wgnode.io.netlink.routes import RTM_DELROUTE, RTM_NEWROUTE, leaves_by, route_mtu


class RouteMtus:
    """Follows the routes of one interface, by index, in the network namespace where this was made.

    `fd` is readable when routes have changed, until `read`; `mtus` has what is known, ascending. Routes by several next
    hops at once are not seen, nor any by Linux before 4.20.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.mtus: tuple[int, ...] = ()
        self._kernel = Rtnetlink()
        groups = RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE
        self._changes = Subscription(groups, lambda made: filters.routes_by(made, index))
        self.fd = self._changes.fd
        self.look()

    def close(self) -> None:
        self._changes.close()
        self._kernel.close()

    def look(self) -> None:
        """Ask the kernel for all of them."""
        try:
            self.mtus = self._kernel.route_mtus(self.index)
        except OSError:  # ENODEV, ENOPROTOOPT
            self.mtus = ()

    def read(self) -> bool:
        """Whether `mtus` was looked up anew: only where it may have changed, however many other routes come and go."""
        concerned = False
        for data in self._changes.told():
            concerned = (
                concerned or data is None or any(self._concerns(kind, body) for kind, _, body in parse_messages(data))
            )
        if concerned:
            self.look()
        return concerned

    def _concerns(self, kind: int, body: bytes) -> bool:
        """A route without an MTU matters only where it may replace one that has."""
        if kind not in (RTM_NEWROUTE, RTM_DELROUTE) or not leaves_by(body, self.index):
            return False
        return bool(self.mtus) or route_mtu(body) is not None
