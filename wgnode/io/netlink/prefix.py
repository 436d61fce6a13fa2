"""Addresses and prefixes as the kernel packs them; pure."""

from __future__ import annotations

import socket


def split_prefix(text: str) -> tuple[int, bytes, int]:
    """(family, packed address, prefix length) of "10.1.0.2/24"; a bare address is a host. Raises ValueError."""
    address, slash, length = text.partition("/")
    family, packed = pack_address(address)
    longest = 8 * len(packed)
    bits = int(length) if slash else longest
    if not 0 <= bits <= longest:
        raise ValueError(f"{text}: the prefix length is 0 to {longest}")
    return family, packed, bits


def pack_address(text: str) -> tuple[int, bytes]:
    """Raises ValueError."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return family, socket.inet_pton(family, text)
    except OSError:
        raise ValueError(f"{text!r} is no IP address") from None
