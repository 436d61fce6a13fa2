"""What the kernel tells unasked: changes of links, addresses, routes and rules (rtnetlink(7))."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator

from wgnode.io.netlink import filters
from wgnode.io.netlink.codec import parse_messages
from wgnode.io.netlink.connection import RECEIVE, NetlinkError
from wgnode.io.netlink.links import RTM_DELLINK, RTM_NEWLINK, Link, parse_link

RTMGRP_LINK = 1
RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV4_RULE = 0x10, 0x40, 0x80
RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE, RTMGRP_IPV6_RULE = 0x100, 0x400, 0x40000
AT_ONCE = 1024
"""Messages that are read before something else has its turn, however fast they come."""


class Subscription:
    """A socket that gets what is told to these groups, in the network namespace where it was made.

    `fd` is readable while there is some. `only` attaches a filter before anything comes. Raises OSError.
    """

    def __init__(self, groups: int, only: Callable[[socket.socket], None] | None = None) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        try:
            if only is not None:
                only(self._socket)
            self._socket.bind((0, groups))
        except BaseException:
            self._socket.close()
            raise
        self.fd = self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def told(self, size: int = RECEIVE) -> Iterator[bytes | None]:
        """What waits, oldest first and each cut to `size` bytes; None where more came than could be kept (ENOBUFS)."""
        for _ in range(AT_ONCE):
            try:
                yield self._socket.recv(size)
            except BlockingIOError:
                return
            except OSError:
                yield None


class LinkMonitor(Subscription):
    """Tells of changes of links, or of the one with this index."""

    def __init__(self, index: int | None = None) -> None:
        super().__init__(RTMGRP_LINK, None if index is None else lambda made: filters.links_at(made, index))

    def read(self) -> list[tuple[Link, bool]]:
        """Changed links, oldest first, each with whether it still exists.

        Raises NetlinkError (ENOBUFS) when some were missed: then ask anew.
        """
        changes: list[tuple[Link, bool]] = []
        for data in self.told():
            if data is None:
                raise NetlinkError(errno.ENOBUFS, "more links changed than could be told")
            for kind, _, body in parse_messages(data):
                if kind in (RTM_NEWLINK, RTM_DELLINK):
                    changes.append((parse_link(body), kind == RTM_NEWLINK))
        return changes
