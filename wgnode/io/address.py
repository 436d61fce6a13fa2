"""Addresses of peers as others say them. Standard library only: it is read on the host (hostd) and in the gateway."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

LONGEST = 80
"""Characters of an endpoint: an IPv6 address with a scope, in brackets, and a port."""
Address = IPv4Address | IPv6Address


def parse(text: object) -> tuple[Address, int]:
    """Address and port of "192.0.2.1:51820" or "[2001:db8::1]:51820". Raises ValueError for a name and for anything
    else. An IPv4-mapped IPv6 address becomes the IPv4 address that it stands for.
    """
    if not isinstance(text, str) or len(text) > LONGEST or not (text.isascii() and text.isprintable()):
        raise ValueError("an endpoint is an address and a port")
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or len(port) > 5 or int(port) > 65535:
        raise ValueError(f"endpoint {text!r}: no port")
    bracketed = host.startswith("[") and host.endswith("]")
    address = ip_address(host[1:-1] if bracketed else host)
    if (address.version == 6) != bracketed:
        raise ValueError(f"endpoint {text!r}: IPv6 addresses stand in brackets, others do not")
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address, int(port)


def nowhere(address: Address) -> str | None:
    """Why no datagram to that address reaches a peer, None where it may."""
    if address.is_unspecified or (address.version == 4 and address.packed[0] == 0):
        return "unspecified"
    if address.is_multicast:
        return "multicast"
    if address == IPv4Address("255.255.255.255"):
        return "broadcast"
    return "of one link only" if getattr(address, "scope_id", None) else None


def place(text: object) -> str:
    """Where a peer may be called, in canonical form. Raises ValueError for what is no endpoint, and for one that no
    peer has: a scope (which is a number of one machine), this machine itself, nobody or everybody, port 0.
    """
    address, port = parse(text)
    if why := nowhere(address) or ("of this machine" if address.is_loopback else None):
        raise ValueError(f"endpoint {text!r}: the address is {why}")
    if not port:
        raise ValueError(f"endpoint {text!r}: port 0")
    return written(address, port)


def written(address: Address, port: int) -> str:
    """As `wg` writes it."""
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
