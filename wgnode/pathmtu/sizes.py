"""Wire, message and inner bytes of a transport message, and which of them can be had exactly.

A message is header (16) + padded inner packet + tag (16); around it are UDP (8) and IP (20 or 40). Padding to a
multiple of 16 is the sender's affair (wp 5.4.6), cut short at its MTU by Linux and by us, so receivers take every
length; and so every wire size from that of the bare inner packet upwards can be had exactly, byte by byte.
"""

from __future__ import annotations

from wgnode.protocol.constants import TAG_LENGTH
from wgnode.protocol.messages import TRANSPORT_HEADER_LENGTH

UDP_HEADER = 8
IP_HEADER = {4: 20, 6: 40}
"""Outer headers by version: WireGuard sends neither IPv4 options nor IPv6 extension headers."""
MESSAGE_OVERHEAD = TRANSPORT_HEADER_LENGTH + TAG_LENGTH
OVERHEAD = {version: header + UDP_HEADER + MESSAGE_OVERHEAD for version, header in IP_HEADER.items()}
"""60 bytes over IPv4, 80 over IPv6."""
LARGEST_WIRE = {4: 65535, 6: 65535 + 40}
"""The length fields' end: IPv6's does not count its own header."""


def inner_of(wire: int, family: int) -> int:
    """Largest padded inner packet in a wire packet of that size over IPv4 (4) or IPv6 (6); below 0 where none fits."""
    return wire - OVERHEAD[family]


def wire_of(inner: int, family: int) -> int:
    """Wire bytes of a padded inner packet of so many."""
    return inner + OVERHEAD[family]


def wire_of_message(message: int, family: int) -> int:
    """Wire bytes of a WireGuard message (a datagram's payload) of so many."""
    return message + UDP_HEADER + IP_HEADER[family]
