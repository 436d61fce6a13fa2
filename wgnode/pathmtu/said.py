"""What somebody on the way says about a datagram of ours that was too long: ICMPv4 3/4 (RFC 1191), ICMPv6 2 (RFC 4443
3.2). Anybody can say that, so it counts only with enough of the datagram that nobody could know it who has not seen it:
which session of the peer's it was for, and which of its messages (wp 5.4.6). Routers that repeat less are not believed.
"""

from __future__ import annotations

from ipaddress import ip_address
from struct import Struct
from typing import NamedTuple

from wgnode.pathmtu import ladder
from wgnode.pathmtu.headers import IPV4_HEADER, IPV6_HEADER
from wgnode.pathmtu.sizes import UDP_HEADER
from wgnode.protocol.messages import TRANSPORT

ICMP_HEADER = 8
UDP = 17
_PORTS = Struct(">HHH")
_MESSAGE = Struct("<IIQ")
_PLAIN_IPV4 = 0x45
"""Without options, as WireGuard sends."""


class Said(NamedTuple):
    """`size` is the largest that passes, `length` what did not, both wire bytes; `address` is the peer's.

    `receiver` (its index) and `counter` are those of the transport message.
    """

    address: str
    port: int
    size: int
    length: int
    receiver: int
    counter: int


def read4(packet: bytes, port: int) -> Said | None:
    """An IPv4 packet with ICMP about a datagram from our port; None for anything else, and what repeats too little."""
    if len(packet) < IPV4_HEADER:
        return None
    message = packet[(packet[0] & 15) * 4 :]
    if message[:2] != b"\3\4" or len(message) < ICMP_HEADER + IPV4_HEADER:
        return None
    inner = message[ICMP_HEADER:]
    if inner[0] != _PLAIN_IPV4 or inner[9] != UDP:
        return None
    size, length = int.from_bytes(message[6:8], "big"), int.from_bytes(inner[2:4], "big")
    # A router from before RFC 1191 says nothing: the next usual size below.
    return _cited(inner[IPV4_HEADER:], port, inner[16:20], size or ladder.below(length), length)


def read6(message: bytes, port: int) -> Said | None:
    """ICMPv6 without the header before it."""
    if message[:2] != b"\2\0" or len(message) < ICMP_HEADER + IPV6_HEADER or message[ICMP_HEADER + 6] != UDP:
        return None
    inner = message[ICMP_HEADER:]
    size, length = int.from_bytes(message[4:8], "big"), IPV6_HEADER + int.from_bytes(inner[4:6], "big")
    return _cited(inner[IPV6_HEADER:], port, inner[24:40], size, length)


def _cited(datagram: bytes, port: int, address: bytes, size: int, length: int) -> Said | None:
    if len(datagram) < UDP_HEADER + _MESSAGE.size or size >= length:
        return None
    ours, theirs, _ = _PORTS.unpack_from(datagram)
    kind, receiver, counter = _MESSAGE.unpack_from(datagram, UDP_HEADER)
    if (ours, kind) != (port, TRANSPORT):
        return None
    return Said(str(ip_address(address)), theirs, size, length, receiver, counter)
