"""TCP's MSS in a SYN or SYN-ACK that comes out of the tunnel, limited by our own limit to that peer.

The option says what its sender takes; whoever gets it sends no larger segments. Coming out of the tunnel it is for a
host on our side, whose segments go to the peer by our own direction: so each sender keeps to the limit of its own
direction. Going into the tunnel nothing is changed, or both would get the smaller of both.
"""

from __future__ import annotations

from wgnode.pathmtu import headers
from wgnode.pathmtu.checksum import adjusted
from wgnode.pathmtu.headers import IPV4_HEADER, IPV6_HEADER, TCP, Headers

TCP_HEADER = 20
_SYN = 0x02
_END, _NOP, _MSS, _MSS_LENGTH = 0, 1, 2, 4
_FLAGS, _CHECKSUM = 13, 16


def mss(limit: int, version: int) -> int:
    """Largest segment in an inner packet of `limit` bytes: its fixed headers count, options do not (RFC 6691)."""
    return max(1, limit - (IPV4_HEADER if version == 4 else IPV6_HEADER) - TCP_HEADER)


def clamped(packet: bytes, limit: int, *, partial: bool = False) -> bytes:
    """The packet with no MSS above what fits into `limit` inner bytes; the same object where nothing is to change.

    `partial`: the checksum is of the pseudo header only (VIRTIO_NET_HDR_F_NEEDS_CSUM), and so covers no option. Options
    that are malformed, or that are not there, are left to who gets them.
    """
    read = headers.read(packet)
    if read is None or not _is_syn(packet, read):
        return packet
    most = mss(limit, read.version)
    changed = bytearray(packet)
    for place in _places(packet, read):
        said = int.from_bytes(packet[place : place + 2], "big")
        if said > most:
            _replace(changed, read.upper, place, most, partial=partial)
    return packet if changed == packet else bytes(changed)


def _is_syn(packet: bytes, read: Headers) -> bool:
    if read.protocol != TCP or read.fragment or read.upper + TCP_HEADER > read.length:
        return False
    return bool(packet[read.upper + _FLAGS] & _SYN)


def _places(packet: bytes, read: Headers) -> list[int]:
    """Where an MSS is said: usually once, but nothing forbids more."""
    at, end = read.upper + TCP_HEADER, read.upper + (packet[read.upper + 12] >> 4) * 4
    places: list[int] = []
    if end > read.length:
        return places
    while at < end and packet[at] != _END:
        if packet[at] == _NOP:
            at += 1
            continue
        length = packet[at + 1] if at + 1 < end else 0
        if length < 2 or at + length > end:
            break
        if packet[at] == _MSS and length == _MSS_LENGTH:
            places.append(at + 2)
        at += length
    return places


def _replace(packet: bytearray, upper: int, place: int, most: int, *, partial: bool) -> None:
    """A new value, and the checksum changed by the difference. At an odd place the halves lie in two words."""
    old, new = bytes(packet[place : place + 2]), most.to_bytes(2, "big")
    packet[place : place + 2] = new
    if partial:
        return
    order = "little" if (place - upper) % 2 else "big"
    at = upper + _CHECKSUM
    field = int.from_bytes(packet[at : at + 2], "big")
    packet[at : at + 2] = adjusted(field, _number(old, order), _number(new, order)).to_bytes(2, "big")


def _number(data: bytes, order: str) -> int:
    return int.from_bytes(data, "little" if order == "little" else "big")
