"""Endpoints as `wg` writes them, made `Endpoint`s."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address

from wgnode import endpoint
from wgnode.protocol.endpoint import Endpoint


def parse_endpoint(text: str) -> Endpoint:
    """An address and port, in the form in which the kernel tells where datagrams come from. Names are not resolved.

    Raises ValueError.
    """
    address, port = endpoint.literal(text)
    if not isinstance(address, IPv6Address):
        return Endpoint(str(address), port)
    scope = f"%{address.scope_id}" if address.scope_id else ""
    return Endpoint(socket.inet_ntop(socket.AF_INET6, address.packed) + scope, port)
