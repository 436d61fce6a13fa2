"""Lies about packets that were too long, as whoever knows a flow's addresses and ports can tell them from anywhere."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import closing

from tests.lab.interop import Namespace
from wgnode.pathmtu.checksum import checksum, pseudo_header
from wgnode.pathmtu.headers import ICMP, ICMPV6
from wgnode.pathmtu.probe import ip_header

UDP = 17
Place = tuple[str, int]
"""Address and port."""


def too_big(claimed: int, sender: Place, receiver: Place, router: str) -> bytes:
    """What `router` would say to `sender` about a datagram to `receiver`: no more than `claimed` bytes pass."""
    one, two, liar = (ipaddress.ip_address(each).packed for each in (sender[0], receiver[0], router))
    ports = sender[1].to_bytes(2, "big") + receiver[1].to_bytes(2, "big")
    datagram = ports + (1480).to_bytes(2, "big") + bytes(2) + b"\4" + bytes(11)
    quoted = ip_header(one, two, UDP, len(datagram)) + datagram
    if len(one) == 4:
        rest = bytes(2) + claimed.to_bytes(2, "big") + quoted
        message = b"\3\4" + checksum(b"\3\4\0\0" + rest).to_bytes(2, "big") + rest
        return ip_header(liar, one, ICMP, len(message)) + message
    rest = claimed.to_bytes(4, "big") + quoted
    start = pseudo_header(liar, one, ICMPV6, len(rest) + 4)
    message = b"\2\0" + checksum(b"\2\0\0\0" + rest, start).to_bytes(2, "big") + rest
    return ip_header(liar, one, ICMPV6, len(message)) + message


def flood(space: Namespace, packet: bytes, count: int = 1) -> None:
    """Send it so often from this namespace, with the source address that it says."""
    family = socket.AF_INET if packet[0] >> 4 == 4 else socket.AF_INET6
    target = packet[16:20] if family == socket.AF_INET else packet[24:40]
    with closing(space.call(lambda: socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW))) as raw:
        for _ in range(count):
            raw.sendto(packet, (str(ipaddress.ip_address(target)), 0))
