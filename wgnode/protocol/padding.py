"""Padding of inner packets (wp 5.4.6)."""

from __future__ import annotations

from wgnode.protocol.constants import PADDING_MULTIPLE

_ZEROS = tuple(bytes(n) for n in range(PADDING_MULTIPLE))


def pad(packet: bytes, mtu: int, route_mtus: tuple[int, ...] = ()) -> bytes:
    """Zeros up to a multiple of 16, but never above the MTU (wp 5.4.6), nor above a route's that the packet fits in."""
    size = len(packet)
    padding = -size % PADDING_MULTIPLE
    if not padding:
        return packet
    room = mtu - size
    for smaller in route_mtus:
        if size <= smaller:
            room = min(room, smaller - size)
            break
    return packet + _ZEROS[padding] if padding <= room else packet + bytes(max(0, room))
