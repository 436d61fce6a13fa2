"""Inner IPv4 without DF, fragmented as a router does (RFC 791 section 3.2)."""

from __future__ import annotations

from wgnode.pathmtu import headers
from wgnode.pathmtu.checksum import checksum, complete
from wgnode.pathmtu.headers import IPV4_HEADER, Headers

_COPIED = 0x80
_MORE = 0x2000
UNIT = 8
"""Offsets count 8 bytes."""


def fragments(packet: bytes, limit: int, partial: tuple[int, int] | None = None) -> list[bytes]:
    """The packet in pieces of at most `limit` inner bytes; as it is where it fits. Each keeps its identification.

    `partial`: csum_start and csum_offset of a checksum that is still to be completed, since no receiver could. Raises
    ValueError for what may not be fragmented (IPv6, DF, no packet) and for a limit that holds no 8 bytes of data.
    """
    read = headers.read(packet)
    if read is None or read.version != 4 or (read.dont and read.length > limit):
        raise ValueError("only an IPv4 packet without DF may be fragmented")
    if read.length <= limit:
        return [packet]
    if limit < read.upper + UNIT:
        raise ValueError(f"a limit of {limit} bytes holds no fragment: give at least {read.upper + UNIT}")
    whole = complete(packet[: read.length], *partial) if partial else packet[: read.length]
    return _pieces(whole, read, limit)


def _pieces(packet: bytes, read: Headers, limit: int) -> list[bytes]:
    pieces, at, header = [], read.upper, packet[: read.upper]
    while at < read.length:
        room = limit - len(header)
        last = read.length - at <= room
        size = read.length - at if last else room // UNIT * UNIT
        offset = read.fragment + at - read.upper
        pieces.append(_header(header, size, offset, more=read.more or not last) + packet[at : at + size])
        at, header = at + size, _later(packet[: read.upper])
    return pieces


def _header(header: bytes, size: int, offset: int, *, more: bool) -> bytes:
    """Total length, flags, offset, checksum anew; the reserved flag stays as it was."""
    field = (int.from_bytes(header[6:8], "big") & 0x8000) | (_MORE if more else 0) | offset // UNIT
    head = header[:2] + (len(header) + size).to_bytes(2, "big") + header[4:6] + field.to_bytes(2, "big") + header[8:]
    return head[:10] + checksum(head[:10] + bytes(2) + head[12:]).to_bytes(2, "big") + head[12:]


def _later(header: bytes) -> bytes:
    """The header of all fragments but the first: only options that say so are copied."""
    options = bytearray()
    at = IPV4_HEADER
    while at < len(header) and header[at] != 0:
        length = 1 if header[at] == 1 else header[at + 1] if at + 1 < len(header) else 0
        if length < (1 if header[at] == 1 else 2) or at + length > len(header):
            break
        if header[at] & _COPIED:
            options += header[at : at + length]
        at += length
    options += bytes(-len(options) % 4)
    words = (IPV4_HEADER + len(options)) // 4
    return bytes((4 << 4 | words,)) + header[1:IPV4_HEADER] + options
