"""What a limit does to single packets, in plain Python: for the plain plane, and for what a plane has left to the
protocol. Read it beside plane.Limit."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from wgnode.pathmtu import fragment, headers, probe
from wgnode.pathmtu.clamp import clamped
from wgnode.pathmtu.headers import ICMP, ICMPV6, IPV4_HEADER, IPV6_HEADER, TCP
from wgnode.pathmtu.toobig import SMALLEST, TooBigRate, too_big
from wgnode.protocol.constants import TAG_LENGTH
from wgnode.protocol.messages import TRANSPORT_HEADER_LENGTH
from wgnode.protocol.plane import Fit, Limit

OVERHEAD = TRANSPORT_HEADER_LENGTH + TAG_LENGTH
"""Bytes that a message is longer than its padded packet."""

_SYN = 0x02
_FLAGS = 13


def bounds(limit: Limit | None, route_mtus: tuple[int, ...]) -> tuple[int, ...]:
    """See plane.Plane.bounds."""
    return route_mtus if limit is None else tuple(sorted({*route_mtus, *limit}))


def is_long(message: int, limit: Limit | None) -> bool:
    """Whether a message of so many bytes goes by the sockets that fragment."""
    return limit is not None and message > limit.whole + OVERHEAD


class Rate(Protocol):
    """How often senders are told, all that a node tells together: see TooBigRate."""

    def allow(self, destination: bytes, now: float) -> bool: ...


class Fitting:
    """Of one plane: packets that its TUN is to get because of others, and what was done (`fitted`, see plane.Fit)."""

    def __init__(self, rate: Rate | None = None) -> None:
        self.fitted: Counter[str] = Counter()
        self._rate = rate or TooBigRate()

    def fit(self, packet: bytes, limit: Limit, told: list[bytes], now: float) -> list[bytes]:
        """What goes of an inner packet to a peer; what its sender is told is put into `told`."""
        if len(packet) <= limit.inner:
            return [packet]
        read = headers.read(packet)
        if read is None or read.length <= limit.inner:
            return [packet if read is None else packet[: read.length]]
        if not read.dont and limit.inner >= read.upper + fragment.UNIT:
            self.fitted[Fit.INSIDE] += 1
            return fragment.fragments(packet, limit.inner)
        if read.length <= SMALLEST[read.version]:
            return self._outside(packet)
        return self._tell(packet, read.source, read.destination, limit, told, now)

    def clamp(self, packet: bytes, limit: Limit) -> bytes:
        """A packet that came from a peer."""
        if not _may_be_syn(packet):
            return packet
        fitting = clamped(packet, limit.inner)
        if fitting is not packet:
            self.fitted[Fit.CLAMPED] += 1
        return fitting

    def _outside(self, packet: bytes) -> list[bytes]:
        self.fitted[Fit.OUTSIDE] += 1
        return [packet]

    def _tell(
        self, packet: bytes, sender: bytes, destination: bytes, limit: Limit, told: list[bytes], now: float
    ) -> list[bytes]:
        error = too_big(packet, limit.inner, destination)
        if error is None:
            return self._outside(packet)
        allowed = self._rate.allow(sender, now)
        if allowed:
            told.append(error)
        self.fitted[Fit.TOLD if allowed else Fit.UNTOLD] += 1
        return []


def may_be_probes(packet: bytes, addresses: tuple[bytes, bytes]) -> bool:
    """Is it an echo reply to the first address from the second, as short as a probe's? Whole, and without options, as
    every host answers. Longer ones, which people's pings are, go their way at once."""
    ours, theirs = addresses
    if len(ours) == 4:
        return (
            len(packet) == probe.SMALLEST[4]
            and packet[0] == 0x45
            and packet[12:20] == theirs + ours
            and (packet[9], packet[IPV4_HEADER : IPV4_HEADER + 1]) == (ICMP, b"\0")
            and not int.from_bytes(packet[6:8], "big") & 0x3FFF
        )
    return (
        len(packet) == probe.SMALLEST[6]
        and packet[0] >> 4 == 6
        and packet[8:40] == theirs + ours
        and (packet[6], packet[IPV6_HEADER : IPV6_HEADER + 1]) == (ICMPV6, b"\x81")
    )


def _may_be_syn(packet: bytes) -> bool:
    """False for nearly all packets, without reading more than a byte or two of them."""
    if packet[0] >> 4 == 4:
        upper = (packet[0] & 15) * 4
        return packet[9] == TCP and len(packet) > upper + _FLAGS and bool(packet[upper + _FLAGS] & _SYN)
    if packet[6] == TCP:
        return len(packet) > IPV6_HEADER + _FLAGS and bool(packet[IPV6_HEADER + _FLAGS] & _SYN)
    return packet[6] in headers.EXTENSIONS
