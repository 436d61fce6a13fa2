"""What a router says about an inner packet that does not fit: ICMPv4 3/4 (RFC 1191), ICMPv6 2 (RFC 4443 3.2)."""

from __future__ import annotations

from wgnode.pathmtu import headers
from wgnode.pathmtu.checksum import checksum, pseudo_header
from wgnode.pathmtu.headers import ICMP, ICMPV6, IPV4_HEADER, IPV6_HEADER, Headers
from wgnode.pathmtu.probe import ip_header
from wgnode.protocol.ratelimit import Budget, RateLimiter

MOST = {4: 576, 6: 1280}
"""Bytes of the whole error: as much of the packet as fits (RFC 1812 section 4.3.2.3, RFC 4443 section 2.4(c))."""
SMALLEST = {4: 68, 6: 1280}
"""What no host goes below (RFC 791, RFC 8200): a smaller path's packets have to be fragmented outside."""
INTERNETWORK_CONTROL = 0xC0
"""RFC 1812 section 4.3.2.5."""
ERRORS_PER_SECOND = 1000
"""For all hosts together; Linux's icmp_msgs_per_sec."""

_ICMP_HEADER = 8
_ERRORS = {3, 4, 5, 11, 12}
"""RFC 1812 section 4.3.2.7: unreachable, source quench, redirect, time exceeded, parameter problem."""
_ECHO_REPLY6_AND_QUERIES = 128
_REDIRECT6 = 137


def too_big(packet: bytes, limit: int, source: bytes) -> bytes | None:
    """The error for a packet of our side that is longer than `limit` inner bytes, from our address `source`.

    None where nobody may be told (RFC 1812 section 4.3.2.7, RFC 4443 section 2.4(e); and nothing about multicast),
    where it fits, where it is to be fragmented instead (IPv4 without DF), or where no host would go that low (IPv6
    below 1280). Raises ValueError for a `source` of the other version.
    """
    read = headers.read(packet)
    if read is None:
        return None
    said = max(limit, SMALLEST[read.version])
    if read.length <= said or not read.dont or read.fragment or _nobody_to_tell(read) or _is_error(packet, read):
        return None
    if len(source) != len(read.source):
        raise ValueError(f"an error about an IPv{read.version} packet from an address of {len(source)} bytes")
    return _error4(packet, read, said, source) if read.version == 4 else _error6(packet, read, said, source)


class TooBigRate:
    """How often errors are sent: 20 a second and bursts of 5 for each host (IPv6: each /64), and a bound for all."""

    def __init__(self) -> None:
        self._each = RateLimiter()
        self._all = Budget(ERRORS_PER_SECOND)

    def allow(self, destination: bytes, now: float) -> bool:
        """May another one go to this address, of 4 or 16 bytes?"""
        return self._each.allow(destination, now) and self._all.spend(now)


def _nobody_to_tell(read: Headers) -> bool:
    """No single host as its sender, or more than one as its receiver."""
    if read.version == 6:
        return read.source in (bytes(16), bytes(15) + b"\1") or 0xFF in (read.source[0], read.destination[0])
    return read.source[0] in (0, 127) or max(read.source[0], read.destination[0]) >= 224


def _is_error(packet: bytes, read: Headers) -> bool:
    """An ICMP error, or ICMP whose type can't be seen."""
    if read.protocol not in (ICMP, ICMPV6):
        return False
    if read.upper >= read.length:
        return True
    kind = packet[read.upper]
    if read.protocol == ICMP:
        return kind in _ERRORS
    return kind < _ECHO_REPLY6_AND_QUERIES or kind == _REDIRECT6


def _error4(packet: bytes, read: Headers, limit: int, source: bytes) -> bytes:
    quoted = packet[: min(read.length, MOST[4] - IPV4_HEADER - _ICMP_HEADER)]
    rest = bytes(2) + limit.to_bytes(2, "big") + quoted
    message = b"\3\4" + checksum(b"\3\4\0\0" + rest).to_bytes(2, "big") + rest
    return ip_header(source, read.source, ICMP, len(message), INTERNETWORK_CONTROL) + message


def _error6(packet: bytes, read: Headers, limit: int, source: bytes) -> bytes:
    quoted = packet[: min(read.length, MOST[6] - IPV6_HEADER - _ICMP_HEADER)]
    rest = limit.to_bytes(4, "big") + quoted
    start = pseudo_header(source, read.source, ICMPV6, len(rest) + 4)
    message = b"\2\0" + checksum(b"\2\0\0\0" + rest, start).to_bytes(2, "big") + rest
    return ip_header(source, read.source, ICMPV6, len(message)) + message
