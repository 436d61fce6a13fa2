"""The LAN's card as a wire for ARP and neighbour discovery (packet(7)).

Solicitations go to multicast groups by the last bytes of an address. The card takes all groups, and the kernel joins
those of each address too, so that a bridge or switch that looks at reports (RFC 4541) passes them on.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv6Address

from wgnode.io.netlink import Rtnetlink
from wgnode.io.netlink.filters import solicitations
from wgnode.platform.linux.network import LAN

ETH_P_ARP, ETH_P_IPV6 = 0x0806, 0x86DD
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_ALLMULTI = 263, 1, 2
LARGEST = 2048
"""Bytes; what is longer is neither of both."""


class Neighbours:
    """Raises OSError where there is no such card."""

    def __init__(self, name: str = LAN) -> None:
        with Rtnetlink() as kernel:  # not if_nametoindex(3), whose AF_UNIX socket a gateway gets none of
            index = kernel.link(name).index
        self._index, self._groups = index, set[IPv6Address]()
        with contextlib.ExitStack() as undo:
            self._arp = undo.enter_context(_wire(name, ETH_P_ARP))
            self._nd = undo.enter_context(_wire(name, ETH_P_IPV6))
            self._member = undo.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
            solicitations(self._nd)
            request = struct.pack("=iHH8s", index, PACKET_MR_ALLMULTI, 0, b"")
            self._nd.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, request)
            self._undo = undo.pop_all()
        self.fds = [self._arp.fileno(), self._nd.fileno()]

    def read(self, most: int) -> list[bytes]:
        """At most so many frames of each kind. None from a card that is down, which is told once (ENETDOWN)."""
        found = []
        for wire in (self._arp, self._nd):
            with contextlib.suppress(OSError):
                for _ in range(most):
                    found.append(wire.recv(LARGEST))
        return found

    def send(self, frame: bytes) -> None:
        """Lost where the card can't take it."""
        with contextlib.suppress(OSError):
            self._arp.send(frame)

    def join(self, groups: Iterable[IPv6Address]) -> None:
        """Exactly these. What the kernel has no room for is left out: most LANs flood."""
        wanted = set(groups)
        for option, changed in (
            (socket.IPV6_LEAVE_GROUP, self._groups - wanted),
            (socket.IPV6_JOIN_GROUP, wanted - self._groups),
        ):
            for group in changed:
                with contextlib.suppress(OSError):
                    request = group.packed + struct.pack("=i", self._index)
                    self._member.setsockopt(socket.IPPROTO_IPV6, option, request)
        self._groups = wanted

    def close(self) -> None:
        self._undo.close()


def _wire(name: str, protocol: int) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(protocol))
    made.bind((name, protocol))
    return made
