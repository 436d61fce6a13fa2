"""Options of the outer sockets (socket(7), ip(7), ipv6(7)). Numbers of asm-generic/socket.h and linux/in.h."""

from __future__ import annotations

import contextlib
import socket

from wgnode.io.sticky import ask_for_local_address
from wgnode.platform.linux import send_only
from wgnode.platform.linux.fragments6 import Fragments6
from wgnode.platform.linux.icmp import TooBigs
from wgnode.platform.linux.whole import WholeMessages
from wgnode.protocol.endpoint import Endpoint

SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
BUFFER = 1 << 20
"""Bytes of each socket buffer (Linux doubles it for its own needs): a few milliseconds at the rates that we reach. More
would be waiting time for whoever shares the tunnel with a transfer (docs/decisions/waiting-time.md)."""
UDP_SEGMENT, UDP_GRO = 103, 104
SO_TIMESTAMPNS = 35
IP_RECVTOS, IPV6_RECVTCLASS = 13, 66
IP_MTU_DISCOVER = 10
IP_PMTUDISC_DONT, IP_PMTUDISC_PROBE = 0, 3
IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE = 23, 3


class Options:
    """All of them, of every Linux that the node runs on."""

    def prepare(self, made: socket.socket) -> None:
        for forced, ordinary in ((SO_SNDBUFFORCE, socket.SO_SNDBUF), (SO_RCVBUFFORCE, socket.SO_RCVBUF)):
            _enlarge(made, forced, ordinary)
        ask_for_local_address(made)
        allow_fragments(made)

    def join_and_split(self, made: socket.socket, *, gro: bool) -> bool:
        if gro:
            with contextlib.suppress(OSError):
                made.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVTCLASS, 1)
        else:
            made.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
        try:
            made.getsockopt(socket.IPPROTO_UDP, UDP_SEGMENT)
        except OSError:
            return False
        return True

    def forbid_fragments(self, made: socket.socket, fwmark: int) -> socket.socket | None:
        try:
            second = send_only.beside(made)
        except OSError:
            return None
        try:
            self.prepare(second)
            if fwmark:
                self.mark(second, fwmark)
            if made.family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE)
            else:
                made.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
        except BaseException:
            second.close()
            raise
        return second

    def fragmenter(self, fwmark: int) -> Fragments6:
        return Fragments6(fwmark)

    def too_bigs(self, port: int) -> TooBigs:
        return TooBigs(port)

    def whole_messages(self, port: int, endpoint: Endpoint) -> WholeMessages:
        return WholeMessages(port, endpoint)

    def mark(self, made: socket.socket, fwmark: int) -> None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, fwmark)


def allow_fragments(made: socket.socket) -> None:
    """Whether routers may fragment the outer datagrams (docs/decisions/outer-fragments.md): over IPv4 they may.

    Sent without DF, whatever net.ipv4.ip_no_pmtu_disc says; the kernel fragments what it knows to be too long for the
    way. IPv6 stays as it is: there only the sender fragments, and does so by default.
    """
    if made.family == socket.AF_INET:
        made.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)


def _enlarge(made: socket.socket, forced: int, ordinary: int) -> None:
    try:
        made.setsockopt(socket.SOL_SOCKET, forced, BUFFER)
    except PermissionError:
        made.setsockopt(socket.SOL_SOCKET, ordinary, BUFFER)
