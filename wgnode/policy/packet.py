"""A packet as verdicts see it: whose flow it is, or may be."""

from __future__ import annotations

from typing import NamedTuple

from wgnode.pathmtu import headers
from wgnode.pathmtu.headers import ICMP, ICMPV6, IPV4_HEADER, IPV6_HEADER, TCP, Headers

UDP = 17
NO_PORTS = bytes(4)
PORTS = {TCP, UDP}
ECHO, ECHOED = {ICMP: 8, ICMPV6: 128}, {ICMP: 0, ICMPV6: 129}
_ECHO_PORT = b"\0\x08"
"""What an echo has in place of the other side's port: so a reply is its request turned round."""
_ICMP_ERRORS = {3, 4, 5, 11, 12}
_FIRST_INFORMATION = 128
"""Below it the types of ICMPv6 are errors (RFC 4443 2.1)."""
_ICMP_HEADER = 8


class Key(NamedTuple):
    """A flow in one orientation; `ports` are two times two bytes."""

    protocol: int
    source: bytes
    destination: bytes
    ports: bytes

    @property
    def port(self) -> int:
        """The destination's, 0 where there is none."""
        return int.from_bytes(self.ports[2:], "big") if self.protocol in PORTS else 0

    def turned(self) -> Key:
        """The reply's."""
        return Key(self.protocol, self.destination, self.source, self.ports[2:] + self.ports[:2])


class View(NamedTuple):
    """`key` of a packet that is whole as far as ports go; None for a later fragment, an ICMP error, and what can't be
    read. `fragment` names the packet that a fragment is of."""

    key: Key | None
    error: Key | None
    """Of what it cites, in the orientation in which that was sent."""
    is_error: bool
    fragment: tuple[bytes, bytes, bytes, int] | None
    later: bool
    flags: int
    """TCP's, 0 for others."""


UNREADABLE = View(None, None, False, None, False, 0)


def view(packet: bytes) -> View:
    read = headers.read(packet)
    if read is None:
        return UNREADABLE
    fragment = _fragment(read)
    if read.fragment:
        return View(None, None, False, fragment, True, 0)
    if read.protocol == _icmp(read.version) and _is_error(read.protocol, packet[read.upper : read.upper + 1]):
        return View(None, _cited(packet[read.upper + _ICMP_HEADER : read.length], read), True, fragment, False, 0)
    ports = _ports(read, packet)
    if ports is None:
        return UNREADABLE
    tcp = read.protocol == TCP and read.length > read.upper + 13
    key = Key(read.protocol, read.source, read.destination, ports)
    return View(key, None, False, fragment, False, packet[read.upper + 13] if tcp else 0)


def _fragment(read: Headers) -> tuple[bytes, bytes, bytes, int] | None:
    """IPv6 knows a packet by addresses and identification alone (RFC 8200 4.5)."""
    if not read.fragment and not read.more:
        return None
    return read.source, read.destination, read.identification, read.protocol if read.version == 4 else 0


def _icmp(version: int) -> int:
    return ICMP if version == 4 else ICMPV6


def _is_error(protocol: int, kind: bytes) -> bool:
    if not kind:
        return False
    return kind[0] in _ICMP_ERRORS if protocol == ICMP else kind[0] < _FIRST_INFORMATION


def _ports(read: Headers, packet: bytes) -> bytes | None:
    """None for what is too short to have those that it has to have."""
    at, there = read.upper, read.length - read.upper
    if read.protocol in PORTS:
        return packet[at : at + 4] if there >= 4 else None
    if read.protocol != _icmp(read.version):
        return NO_PORTS
    if there < _ICMP_HEADER:
        return None
    kind, identifier = packet[at], packet[at + 4 : at + 6]
    if kind == ECHO[read.protocol]:
        return identifier + _ECHO_PORT
    if kind == ECHOED[read.protocol]:
        return _ECHO_PORT + identifier
    return NO_PORTS[:2] + packet[at : at + 2]


def _cited(packet: bytes, error: Headers) -> Key | None:
    """Of the packet that an error is about, which is there in part; None where it was not sent by whom the error goes
    to, where it is no first fragment, or nothing can be made of it."""
    claimed = _as_whole(packet)
    read = None if claimed is None else headers.read(claimed)
    if read is None or read.version != error.version or read.fragment or read.source != error.destination:
        return None
    assert claimed is not None
    if read.protocol == _icmp(read.version) and not _is_echo(read.protocol, claimed[read.upper : read.upper + 1]):
        return None
    ports = _ports(read, claimed)
    return None if ports is None else Key(read.protocol, read.source, read.destination, ports)


def _is_echo(protocol: int, kind: bytes) -> bool:
    return bool(kind) and kind[0] in (ECHO[protocol], ECHOED[protocol])


def _as_whole(packet: bytes) -> bytes | None:
    """With the length that is there in place of the one before it was cut."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= IPV4_HEADER:
        return packet[:2] + min(len(packet), int.from_bytes(packet[2:4], "big")).to_bytes(2, "big") + packet[4:]
    if version == 6 and len(packet) >= IPV6_HEADER:
        there = min(len(packet) - IPV6_HEADER, int.from_bytes(packet[4:6], "big"))
        return packet[:4] + there.to_bytes(2, "big") + packet[6:]
    return None
