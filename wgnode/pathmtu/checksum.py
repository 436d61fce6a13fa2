"""The internet checksum (RFC 1071): of bytes, changed in place (RFC 1624), and a partial one completed."""

from __future__ import annotations

_ALL = 0xFFFF


def total(data: bytes, start: int = 0) -> int:
    """Ones' complement sum of 16-bit words, as a remainder; an odd last byte counts as the high one."""
    value = int.from_bytes(data if len(data) % 2 == 0 else data + b"\0", "big") + start
    return value % _ALL or (_ALL if value else 0)


def checksum(data: bytes, start: int = 0) -> int:
    """What goes into a checksum field that was zero in `data`; `start` is a sum to go on from (a pseudo header's)."""
    return ~total(data, start) & _ALL


def pseudo_header(source: bytes, destination: bytes, protocol: int, length: int) -> int:
    """Sum of a pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1); `length` is that of the upper layer."""
    return total(source + destination + length.to_bytes(4, "big") + protocol.to_bytes(4, "big"))


def adjusted(field: int, old: int, new: int) -> int:
    """The field after a 16-bit word that it covers has become another (RFC 1624 equation 3)."""
    value = (~field & _ALL) + (~old & _ALL) + new
    return ~(value % _ALL or (_ALL if value else 0)) & _ALL


def complete(packet: bytes, start: int, offset: int) -> bytes:
    """A packet whose checksum is partial (virtio-net's csum_start, csum_offset) with the whole one.

    The field holds the pseudo header's sum. A result of 0 is written as 0xffff, which is the same and which UDP needs.
    Raises ValueError where the field lies outside.
    """
    place = start + offset
    if start < 0 or offset < 0 or place + 2 > len(packet):
        raise ValueError(f"partial checksum at {start} + {offset} of a packet of {len(packet)} bytes")
    value = checksum(packet[start:]) or _ALL
    return packet[:place] + value.to_bytes(2, "big") + packet[place + 2 :]
