"""Where a peer may be, of what others say. Standard library only: it is read on the host (hostd) and in the gateway."""

from __future__ import annotations

from ipaddress import IPv4Address

from wgnode import endpoint
from wgnode.endpoint import Address


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
    address, port = endpoint.literal(text)
    if why := nowhere(address) or ("of this machine" if address.is_loopback else None):
        raise ValueError(f"endpoint {text!r}: the address is {why}")
    if not port:
        raise ValueError(f"endpoint {text!r}: port 0")
    return endpoint.written(address, port)
