"""Options of the outer sockets. src/net/netsyscall.c says yes to every option and does what a few of them say, so each
is read back, and one that can't be counts as missing."""

from __future__ import annotations

import errno
import socket

from wgnode.io.sticky import IP_PKTINFO
from wgnode.platform import Fragmenter, Hearing, TooBigs
from wgnode.protocol.endpoint import Endpoint

UDP_SEGMENT, UDP_GRO = 103, 104
SO_TIMESTAMPNS = 35
IP_RECVTOS = 13
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0


class ReadBack:
    """`missing` has the names of what was asked for and is not there, since this was made."""

    def __init__(self) -> None:
        self.missing: set[str] = set()

    def prepare(self, made: socket.socket) -> None:
        """Without local addresses a reply leaves from the one that the route says: there is one on the transit link."""
        if made.family == socket.AF_INET:
            self._ask(made, socket.IPPROTO_IP, IP_PKTINFO, "local addresses")
            self._ask(made, socket.IPPROTO_IP, IP_MTU_DISCOVER, "fragments outside", IP_PMTUDISC_DONT)

    def join_and_split(self, made: socket.socket, *, gro: bool) -> bool:
        if gro:
            self._ask(made, socket.IPPROTO_UDP, UDP_GRO, "joined datagrams")
        self._ask(made, socket.SOL_SOCKET, SO_TIMESTAMPNS, "times of arrival")
        if made.family == socket.AF_INET:
            self._ask(made, socket.IPPROTO_IP, IP_RECVTOS, "ECN bits")
        return self._ask(made, socket.IPPROTO_UDP, UDP_SEGMENT, "split datagrams", 0)

    def forbid_fragments(self, made: socket.socket, fwmark: int) -> socket.socket | None:
        """No MTU is searched here: nothing says which packets were too long, nor what comes whole."""
        return None

    def fragmenter(self, fwmark: int) -> Fragmenter | None:
        return None

    def too_bigs(self, port: int) -> TooBigs | None:
        return None

    def whole_messages(self, port: int, endpoint: Endpoint) -> Hearing | None:
        return None

    def mark(self, made: socket.socket, fwmark: int) -> None:
        if fwmark:
            raise OSError(errno.EOPNOTSUPP, f"fwmark {fwmark:#x}: Nanos takes it and ignores it; set it to 0")

    def _ask(self, made: socket.socket, level: int, option: int, name: str, value: int = 1) -> bool:
        """Whether the kernel says afterwards what it was told."""
        try:
            made.setsockopt(level, option, value)
            there = made.getsockopt(level, option) == value
        except OSError:
            there = False
        if not there:
            self.missing.add(name)
        return there
