"""What a path really does, measured by datagrams with DF, each way for itself."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from contextlib import suppress

from tests.lab.path.path import Path, Way
from tests.lab.scenarios.world import udp_socket

HEADERS = {4: 20 + 8, 6: 40 + 8}
SMALL, END = 100, 90
"""Bytes of IP packets: one that passes everywhere, and the mark after the last one."""
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, DONT, PROBE = 10, 23, 0, 3
QUIET = 0.3
"""Seconds without another datagram after which no more is waited for."""


class Measure:
    """A socket at each end, which the other may have to speak to first where there is a NAT."""

    def __init__(self, path: Path, family: int = 4) -> None:
        self.path, self.family = path, family
        self._a = udp_socket(path.a, "0.0.0.0" if family == 4 else "::")
        self._b = udp_socket(path.b, "0.0.0.0" if family == 4 else "::")
        for each in (self._a, self._b):
            level = (socket.IPPROTO_IP, IP_MTU_DISCOVER) if family == 4 else (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER)
            each.setsockopt(*level, PROBE)
        self._a.connect((path.address("b", family), self._b.getsockname()[1]))
        for _ in range(20):  # some may be lost
            self._a.send(b"")
        self._b.connect(self._b.recvfrom(1)[1][:2])
        for each in (self._a, self._b):
            each.settimeout(QUIET)
        self._round = 0

    def __enter__(self) -> Measure:
        return self

    def __exit__(self, *_: object) -> None:
        self._a.close()
        self._b.close()

    def sizes(self, way: Way, sizes: Iterable[int]) -> list[int]:
        """Which IP packets of these sizes arrive, with DF, in the order in which they do."""
        one, two = (self._a, self._b) if way is Way.UP else (self._b, self._a)
        self._round += 1
        for size in (*sizes, *[END] * 3):
            with suppress(OSError):  # EMSGSIZE of our own link; an ICMP error about the one before
                one.send(self._round.to_bytes(4, "big").ljust(size - HEADERS[self.family], b"\0"))
        return self._arrived(two)

    def pieces(self, way: Way, size: int) -> bool:
        """Whether one of this size arrives that routers may make pieces of."""
        one = self._a if way is Way.UP else self._b
        option = (socket.IPPROTO_IP, IP_MTU_DISCOVER) if self.family == 4 else (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER)
        one.setsockopt(*option, DONT)
        arrived = self.sizes(way, [size])
        one.setsockopt(*option, PROBE)
        return bool(arrived)

    def largest(self, way: Way, low: int = 500, high: int = 9100) -> int:
        """The longest IP packet that passes, by halves; some of each, since they may be lost."""
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if middle in self.sizes(way, [middle] * 3) else (low, middle)
        return low

    def lost(self, way: Way, count: int = 2000) -> float:
        """Percent of so many small ones that don't arrive."""
        arrived = 0
        for _ in range(count // 100):  # in pieces that every queue has room for
            arrived += len(self.sizes(way, [SMALL] * 100))
        return 100 - 100 * arrived / count

    def round_trip(self) -> float:
        """Seconds."""
        began = time.monotonic()
        for way in Way:
            assert self.sizes(way, [SMALL])
        return time.monotonic() - began

    def _arrived(self, two: socket.socket) -> list[int]:
        """Of the present round, until its end is seen, or nothing for QUIET seconds."""
        found: list[int] = []
        with suppress(TimeoutError):
            while END not in found:
                with suppress(ConnectionError):
                    data = two.recv(65535)
                    if data[:4] == self._round.to_bytes(4, "big"):
                        found.append(len(data) + HEADERS[self.family])
        return [size for size in found if size != END]
