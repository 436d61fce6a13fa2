"""Endpoints as `wg` writes them, made `Endpoint`s."""

from __future__ import annotations

import socket

from wgnode.protocol.endpoint import Endpoint


def parse_endpoint(text: str) -> Endpoint:
    """An address and port as `wg` writes them: "192.0.2.1:51820" or "[2001:db8::1]:51820". Raises ValueError.

    Names are not resolved. An IPv4-mapped IPv6 address becomes the IPv4 address that it stands for.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"endpoint {text!r}: an address and a port 0..65535, please")
    if host.startswith("[") and host.endswith("]"):
        return Endpoint(_canonical_ipv6(host[1:-1], text), int(port))
    try:
        return Endpoint(socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, host)), int(port))
    except OSError:
        raise ValueError(f"endpoint {text!r}: {host!r} is no IPv4 address, nor an IPv6 address in brackets") from None


def _canonical_ipv6(host: str, text: str) -> str:
    address, percent, scope = host.partition("%")
    try:
        packed = socket.inet_pton(socket.AF_INET6, address)
    except OSError:
        raise ValueError(f"endpoint {text!r}: {host!r} is no IPv6 address") from None
    if packed.startswith(bytes(10) + b"\xff\xff"):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    if percent and not scope:
        raise ValueError(f"endpoint {text!r}: the scope after % is missing")
    return socket.inet_ntop(socket.AF_INET6, packed) + percent + scope
