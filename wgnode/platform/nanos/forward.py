"""Whether this kernel forwards, asked by a packet that never leaves it.

lwIP forwards only where it was built with IP_FORWARD 1, and Nanos' own builds are not. A packet whose time to live ends
here is answered with ICMP time exceeded by who forwards (src/core/ipv4/ip4.c ip4_forward), and by nobody else. So one
goes in by the TUN, from an address of the tunnel to one of the LAN, and the answer has to come out of it.
"""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Callable
from ipaddress import IPv4Address

from wgnode.pathmtu.checksum import checksum

PATIENCE = 2.0
"""Seconds, of which each attempt gets a quarter."""
UDP, ICMP, TIME_EXCEEDED = 17, 1, 11
DISCARD = 9
LARGEST = 65535
_IP = struct.Struct("!BBHHHBBH4s4s")


def forwards(fd: int, source: IPv4Address, to: IPv4Address, now: Callable[[], float] = time.monotonic) -> bool:
    """Of the TUN with this descriptor, which is up. What else comes out of it meanwhile is lost. Raises OSError."""
    packet = dying_packet(source, to)
    end = now() + PATIENCE
    while (left := end - now()) > 0:
        os.write(fd, packet)
        if _answered(fd, packet, min(left, PATIENCE / 4), now):
            return True
    return False


def dying_packet(source: IPv4Address, to: IPv4Address) -> bytes:
    """A UDP datagram with nothing in it and a time to live of 1 (RFC 791, 768)."""
    udp = struct.pack("!HHHH", DISCARD, DISCARD, 8, 0)
    number = int.from_bytes(os.urandom(2), "big")
    header = _IP.pack(0x45, 0, 28, number, 0, 1, UDP, 0, source.packed, to.packed)
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + udp


def answers(packet: bytes, sent: bytes) -> bool:
    """Is it ICMP time exceeded about that one? Its checksum and its time to live are of the way, so not compared."""
    if len(packet) < 20 or packet[0] >> 4 != 4 or packet[9] != ICMP or packet[16:20] != sent[12:16]:
        return False
    message = packet[(packet[0] & 15) * 4 :]
    told = message[8:]
    same = told[:8] == sent[:8] and told[9:10] == sent[9:10] and told[12:20] == sent[12:20]
    return message[:1] == bytes([TIME_EXCEEDED]) and same


def _answered(fd: int, sent: bytes, wait: float, now: Callable[[], float]) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    end = now() + wait
    while (left := end - now()) > 0 and poll.poll(left * 1000):
        try:
            packet = os.read(fd, LARGEST)
        except BlockingIOError:
            continue
        if answers(packet, sent):
            return True
    return False
