"""What the protocol reads of inner IP packets: version, length, source, destination."""

from __future__ import annotations

from wgnode.protocol.errors import Drop, ProtocolError

_IPV4_HEADER = 20
_IPV6_HEADER = 40


def destination(packet: bytes) -> bytes:
    """The destination address, 4 or 16 bytes, of a packet from our own side. Raises ProtocolError."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= _IPV4_HEADER:
        return packet[16:20]
    if version == 6 and len(packet) >= _IPV6_HEADER:
        return packet[24:40]
    raise ProtocolError(Drop.BAD_OUTGOING)


def length_and_source(packet: bytes) -> tuple[int, bytes]:
    """The length that a peer's packet claims, without padding, and its source. `packet` is not empty.

    Raises ProtocolError for another version, or a claimed length below the header or beyond the packet.
    """
    version = packet[0] >> 4
    size = len(packet)
    if version == 4 and size >= _IPV4_HEADER:
        length = packet[2] << 8 | packet[3]
        if _IPV4_HEADER <= length <= size:
            return length, packet[12:16]
    elif version == 6 and size >= _IPV6_HEADER:
        length = (packet[4] << 8 | packet[5]) + _IPV6_HEADER
        if length <= size:
            return length, packet[8:24]
    raise ProtocolError(Drop.BAD_INNER)
