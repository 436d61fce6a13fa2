"""What is read of inner IP headers: addresses, fragments, and where the upper layer begins."""

from __future__ import annotations

from typing import NamedTuple

ICMP, TCP, ICMPV6 = 1, 6, 58
IPV4_HEADER, IPV6_HEADER = 20, 40

_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION, _MOBILITY = 0, 43, 44, 51, 60, 135
EXTENSIONS = {_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION, _MOBILITY}
_MOST_EXTENSIONS = 8
"""A longer chain is nobody's who wants to be understood."""


class Headers(NamedTuple):
    """`length` is what the packet claims, at most what is there; `upper` its upper layer's offset, at most `length`."""

    version: int
    source: bytes
    destination: bytes
    length: int
    protocol: int
    upper: int
    fragment: int
    """Offset in bytes; 0 for a first or only one."""
    more: bool
    dont: bool
    """DF; true for IPv6."""
    identification: bytes = b""
    """Of the packet that a fragment is of; empty for IPv6 without a fragment header."""


def read(packet: bytes) -> Headers | None:
    """None where it is no IP packet, is shorter than it claims, or its extension headers can't be followed."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= IPV4_HEADER:
        return _read4(packet)
    if version == 6 and len(packet) >= IPV6_HEADER:
        return _read6(packet)
    return None


def _read4(packet: bytes) -> Headers | None:
    header, length = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big")
    if not IPV4_HEADER <= header <= length <= len(packet):
        return None
    field = int.from_bytes(packet[6:8], "big")
    more, dont = bool(field & 0x2000), bool(field & 0x4000)
    offset = (field & 0x1FFF) * 8
    return Headers(4, packet[12:16], packet[16:20], length, packet[9], header, offset, more, dont, packet[4:6])


def _read6(packet: bytes) -> Headers | None:
    length = IPV6_HEADER + int.from_bytes(packet[4:6], "big")
    if length > len(packet):
        return None
    protocol, at, fragment, more, identification = packet[6], IPV6_HEADER, 0, False, b""
    for _ in range(_MOST_EXTENSIONS):
        if protocol not in EXTENSIONS or fragment:
            source, destination = packet[8:24], packet[24:40]
            return Headers(6, source, destination, length, protocol, at, fragment, more, True, identification)
        if at + 8 > length:
            return None
        if protocol == _FRAGMENT:
            field = int.from_bytes(packet[at + 2 : at + 4], "big")
            fragment, more, identification = field & 0xFFF8, bool(field & 1), packet[at + 4 : at + 8]
        size = _extension_size(protocol, packet[at + 1])
        protocol, at = packet[at], at + size
        if at > length:
            return None
    return None


def _extension_size(protocol: int, field: int) -> int:
    if protocol == _FRAGMENT:
        return 8
    return (field + 2) * 4 if protocol == _AUTHENTICATION else (field + 1) * 8
