"""The probe: a WireGuard message of the wanted size around a small ICMP or ICMPv6 echo to the peer's tunnel address.

Every WireGuard trims a message to the inner packet's own length, so the echo comes back small, and only our own
direction has to carry the size. Which sizes can be had: wgnode/pathmtu/sizes.py. The id is the echo's identifier, its
sequence number and its first 8 bytes of data, all random, which a reply repeats.
"""

from __future__ import annotations

from struct import Struct

from wgnode.pathmtu import headers
from wgnode.pathmtu.checksum import checksum, pseudo_header
from wgnode.pathmtu.flight import ID_LENGTH
from wgnode.pathmtu.headers import ICMP, ICMPV6, IPV4_HEADER, IPV6_HEADER, Headers
from wgnode.pathmtu.sizes import inner_of, wire_of
from wgnode.protocol.constants import PADDING_MULTIPLE

ECHO_HEADER = 4
"""Type, code, checksum: identifier and sequence number belong to the id."""
SMALLEST = {4: IPV4_HEADER + ECHO_HEADER + ID_LENGTH, 6: IPV6_HEADER + ECHO_HEADER + ID_LENGTH}
"""Inner bytes of the echo alone, by the tunnel address's version."""
HOPS = 64

_REQUEST = {4: 8, 6: 128}
_REPLY = {4: 0, 6: 129}
_PROTOCOL = {4: ICMP, 6: ICMPV6}
_IPV4 = Struct(">BBHHHBBH4s4s")
_IPV6 = Struct(">IHBB16s16s")
_DONT_FRAGMENT = 0x4000


def smallest(version: int, family: int) -> int:
    """Wire bytes of the least probe to a tunnel address of `version`, over IPv4 or IPv6, padded as every message is."""
    return wire_of(-(-SMALLEST[version] // PADDING_MULTIPLE) * PADDING_MULTIPLE, family)


def one_way(probe: bytes, source: bytes, destination: bytes, wire: int, family: int) -> bytes:
    """Inner bytes to seal as they are, without more padding: the echo, and zeros up to the wanted wire size.

    `source` and `destination` are tunnel addresses of 4 or 16 bytes, `family` the outer version. Raises ValueError.
    """
    echo = _echo(probe, source, destination)
    room = inner_of(wire, family)
    if room < len(echo):
        raise ValueError(f"a probe of {wire} bytes over IPv{family}: give at least {wire_of(len(echo), family)}")
    return echo.ljust(room, b"\0")


def both_ways(probe: bytes, source: bytes, destination: bytes, wire: int, family: int) -> bytes:
    """As `one_way`, of an echo that is as long as the message, so that its reply is as well. Raises ValueError."""
    room = inner_of(wire, family) - SMALLEST[_version(source, destination)]
    if room < 0:
        raise ValueError(f"an echo of {wire} bytes over IPv{family}: give at least {wire - room}")
    return _echo(probe, source, destination, bytes(room))


def recognise(inner: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """The id of a reply from that tunnel address to ours, right in every bit that matters; None for anything else.

    Whether a probe with this id was sent is for Search.answered to say: where it wasn't, the packet is somebody else's,
    such as a user's ping, and goes its way.
    """
    read = headers.read(inner)
    if read is None or not _answers(read, ours, theirs):
        return None
    message = inner[read.upper : read.length]
    if len(message) < ECHO_HEADER + ID_LENGTH or message[:2] != bytes((_REPLY[read.version], 0)):
        return None
    if checksum(message, _sum_of_addresses(read.version, read.source, read.destination, len(message))):
        return None
    return message[ECHO_HEADER : ECHO_HEADER + ID_LENGTH]


def _answers(read: Headers, ours: bytes, theirs: bytes) -> bool:
    whole = not read.fragment and not read.more
    return whole and read.protocol == _PROTOCOL[read.version] and (read.source, read.destination) == (theirs, ours)


def _version(source: bytes, destination: bytes) -> int:
    version = {(4, 4): 4, (16, 16): 6}.get((len(source), len(destination)))
    if version is None:
        raise ValueError(f"addresses of {len(source)} and {len(destination)} bytes: give two of 4 or two of 16")
    return version


def _echo(probe: bytes, source: bytes, destination: bytes, more: bytes = b"") -> bytes:
    if len(probe) != ID_LENGTH:
        raise ValueError(f"a probe's id of {len(probe)} bytes: give {ID_LENGTH}")
    version = _version(source, destination)
    length = ECHO_HEADER + len(probe) + len(more)
    start = _sum_of_addresses(version, source, destination, length)
    head = bytes((_REQUEST[version], 0))
    message = head + checksum(head + b"\0\0" + probe, start).to_bytes(2, "big") + probe + more
    return ip_header(source, destination, _PROTOCOL[version], length) + message


def _sum_of_addresses(version: int, source: bytes, destination: bytes, length: int) -> int:
    """ICMPv6 covers a pseudo header (RFC 4443 section 2.3), ICMP does not."""
    return pseudo_header(source, destination, ICMPV6, length) if version == 6 else 0


def ip_header(source: bytes, destination: bytes, protocol: int, length: int, traffic_class: int = 0) -> bytes:
    """Of our own packet with `length` bytes after it; IPv4 with DF, so that its identification may be 0 (RFC 6864)."""
    if len(source) == 16:
        return _IPV6.pack(6 << 28 | traffic_class << 20, length, protocol, HOPS, source, destination)
    total = IPV4_HEADER + length
    head = _IPV4.pack(0x45, traffic_class, total, 0, _DONT_FRAGMENT, HOPS, protocol, 0, source, destination)
    return head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
