"""Endpoints as the engine wants them, and back."""

from __future__ import annotations

import contextlib
import socket
from functools import lru_cache

from wgnode_fastpath import Place

from wgnode.protocol.endpoint import Endpoint


def to_place(endpoint: Endpoint) -> Place:
    """As the engine wants it."""
    address, _, scope = endpoint.address.partition("%")
    source = None if endpoint.source is None else _packed(endpoint.source)
    return Place(_packed(address), endpoint.port, _interface(scope), source)


@lru_cache(maxsize=4096)
def to_endpoint(place: Place) -> Endpoint:
    """As the protocol wants it."""
    text = _text(place.address) + (f"%{place.scope}" if place.scope else "")
    return Endpoint(text, place.port, None if place.source is None else _text(place.source))


def _interface(scope: str) -> int:
    """Its index; 0 for none, and for one that is not there (now): what is sent there is refused then, and counted."""
    with contextlib.suppress(OSError):
        return int(scope) if scope.isdigit() else socket.if_nametoindex(scope) if scope else 0
    return 0


@lru_cache(maxsize=4096)
def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _text(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)
