"""The one text of a network, found without parsing it where it is that text already: thousands of them are compared."""

from __future__ import annotations

import socket
from ipaddress import ip_network


def canonical(text: str) -> str:
    """As `ipaddress` writes it. Raises ValueError for what is no network, or has bits set beyond its prefix."""
    return text if isinstance(text, str) and _is_canonical(text) else str(ip_network(text))


def _is_canonical(text: str) -> bool:
    """False also where it is not sure: the C library writes IPv4 addresses within IPv6 ones in another way."""
    address, _, length = text.partition("/")
    if ":" in address and "." in address:
        return False
    family, bits = (socket.AF_INET6, 128) if ":" in address else (socket.AF_INET, 32)
    try:
        packed = socket.inet_pton(family, address)
    except (OSError, ValueError):
        return False
    if socket.inet_ntop(family, packed) != address or not length.isascii() or not length.isdigit():
        return False
    prefix = int(length)
    within = prefix <= bits and not int.from_bytes(packed, "big") & ((1 << (bits - prefix)) - 1)
    return within and str(prefix) == length
