"""Replies leave from the address that the peer wrote to: packet information of the kernel, and when to leave it out.

A datagram's local address comes as ancillary data (ip(7) IP_PKTINFO, ipv6(7) IPV6_PKTINFO) and goes back the same way.
It is left out again once the route to the peer has moved to another interface, or the address has vanished: then the
routing table chooses, as for a datagram that begins a conversation.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from wgnode.protocol.endpoint import Endpoint

IP_PKTINFO = 8
IN_PKTINFO = struct.Struct("=i4s4s")
IN6_PKTINFO = struct.Struct("=16sI")
ANCILLARY_SPACE = socket.CMSG_SPACE(IN6_PKTINFO.size)
MOST_REMEMBERED = 4096
IPPROTO_FRAGMENT = 44
MESSAGE_TYPES = tuple(bytes([number, 0, 0, 0]) for number in (1, 2, 3, 4))
"""How WireGuard's datagrams begin (wp 5.4)."""

Ancillary = list[tuple[int, int, bytes]]


def ask_for_local_address(made: socket.socket) -> None:
    """Every datagram received then tells the address that it was sent to."""
    if made.family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        made.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)


def local_address(packet_information: bytes) -> str:
    """The address that a datagram was sent to, out of either structure."""
    if len(packet_information) == IN_PKTINFO.size:
        _, address, _ = IN_PKTINFO.unpack(packet_information)
        return socket.inet_ntop(socket.AF_INET, address)
    address, _ = IN6_PKTINFO.unpack(packet_information)
    return socket.inet_ntop(socket.AF_INET6, address)


def from_address(source: str) -> Ancillary:
    """Ancillary data that sends from `source`, by whatever interface the route says."""
    if ":" in source:
        information = IN6_PKTINFO.pack(socket.inet_pton(socket.AF_INET6, source), 0)
        return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, information)]
    return [(socket.IPPROTO_IP, IP_PKTINFO, IN_PKTINFO.pack(0, socket.inet_pton(socket.AF_INET, source), bytes(4)))]


def is_tunnel_datagram(packet: bytes) -> bool:
    """Whether an IP packet is a UDP datagram of WireGuard, or a fragment that may be of one."""
    if len(packet) < 28:
        return False
    if packet[0] >> 4 == 4:
        header, protocol = (packet[0] & 0xF) * 4, packet[9]
        fragment = bool(int.from_bytes(packet[6:8], "big") & 0x3FFF)
    else:
        header, protocol = 40, packet[6]
        fragment = protocol == IPPROTO_FRAGMENT
    if fragment:
        return protocol in (socket.IPPROTO_UDP, IPPROTO_FRAGMENT)
    kind = packet[header + 8 : header + 12]
    return protocol == socket.IPPROTO_UDP and kind in MESSAGE_TYPES


@dataclass(frozen=True)
class _Path:
    """Interfaces of a reply from its source: when that was learned, and in this `epoch`; of what is sent, whichever."""

    learned: int | None
    now: int | None
    sent_by: int | None
    epoch: int

    @property
    def sticky(self) -> bool:
        return self.now is not None and self.now == self.learned


class Tunnels(Protocol):
    def get(self, index: int, /) -> int | None:
        """MTU of an interface that is a tunnel, else None."""


class SourcePaths:
    """Which source address to send from, asked of the kernel once for each endpoint after each change of its routing.

    `interface(endpoint, fwmark)` is the index of the interface that a datagram from `endpoint.source` would leave by;
    it raises OSError where there is none (the address has vanished, the network is unreachable). `own` is the
    tunnel's; `tunnels()` has the MTU of every interface that is a tunnel, by index.
    """

    def __init__(
        self,
        interface: Callable[[Endpoint, int], int],
        own: int | None = None,
        tunnels: Callable[[], Tunnels] = dict[int, int],
    ) -> None:
        self._interface, self._own, self._tunnels = interface, own, tunnels
        self._paths: dict[Endpoint, _Path] = {}
        self._epoch = 0
        self._tunnel_mtus: Tunnels | None = None

    def changed(self) -> None:
        """Addresses, routes, rules or links have changed."""
        self._epoch += 1
        self._tunnel_mtus = None

    def knows(self, endpoint: Endpoint) -> bool:
        """Whether the kernel was asked about it before."""
        return endpoint in self._paths

    def source(self, endpoint: Endpoint, fwmark: int) -> str | None:
        """The address to send from, None for whichever the route says.

        Raises OSError (ELOOP) when the datagram would come back into the tunnel that it carries.
        """
        path = self._paths.get(endpoint)
        if path is None or path.epoch != self._epoch:
            path = self._look(endpoint, fwmark, path)
        if self._own is not None and path.sent_by == self._own:
            raise OSError(errno.ELOOP, f"the route to {endpoint} leads into its own tunnel")
        return endpoint.source if path.sticky else None

    def tunnel_mtu(self, endpoint: Endpoint, fwmark: int) -> int | None:
        """MTU of the other tunnel that carries what is sent to `endpoint`; None where none does."""
        path = self._paths.get(endpoint) or self._look(endpoint, fwmark, None)
        if self._tunnel_mtus is None:
            self._tunnel_mtus = self._tunnels()
        return None if path.sent_by is None else self._tunnel_mtus.get(path.sent_by)

    def leaves_by(self, endpoint: Endpoint, fwmark: int) -> int | None:
        """Index of the interface by which what is sent to `endpoint` leaves, None where there is none."""
        path = self._paths.get(endpoint)
        if path is None or path.epoch != self._epoch:
            path = self._look(endpoint, fwmark, path)
        return path.sent_by

    def _look(self, endpoint: Endpoint, fwmark: int, before: _Path | None) -> _Path:
        found = self._ask(endpoint, fwmark)
        learned = found if before is None or before.learned is None else before.learned
        path = _Path(learned, found, found, self._epoch)
        if endpoint.source is not None and not path.sticky:
            path = replace(path, sent_by=self._ask(endpoint._replace(source=None), fwmark))
        if before is None and len(self._paths) >= MOST_REMEMBERED:
            self._paths.clear()
        self._paths[endpoint] = path
        return path

    def _ask(self, endpoint: Endpoint, fwmark: int) -> int | None:
        with contextlib.suppress(OSError):
            return self._interface(endpoint, fwmark)
        return None
