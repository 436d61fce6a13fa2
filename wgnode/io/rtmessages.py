"""rtnetlink messages as bytes, both ways; pure. Layouts: linux/netlink.h, linux/rtnetlink.h."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH = 28, 29
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP, NLM_F_REPLACE, NLM_F_CREATE = 0x1, 0x4, 0x300, 0x100, 0x400
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_GSO_MAX_SEGS = 1, 3, 4, 40
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
IFA_F_NODAD = 0x02
RTA_DST, RTA_SRC, RTA_OIF, RTA_GATEWAY, RTA_METRICS, RTA_TABLE, RTA_MARK = 1, 2, 4, 5, 8, 15, 16
RTAX_MTU = 2
NDA_DST, NDA_LLADDR = 1, 2
NUD_PERMANENT, NTF_PROXY = 0x80, 0x08
RT_TABLE_MAIN, RTPROT_STATIC = 254, 4
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_NOWHERE = 0, 253, 255
RTN_UNICAST = 1
IFF_UP = 0x1
RTMGRP_LINK = 1
ARPHRD_NONE = 0xFFFE
NLMSGHDR = struct.Struct("=IHHII")
IFINFOMSG = struct.Struct("=BxHiII")
IFADDRMSG = struct.Struct("=BBBBI")
RTMSG = struct.Struct("=BBBBBBBBI")
NDMSG = struct.Struct("=BxxxiHBB")

Attributes = dict[int, bytes]


@dataclass(frozen=True)
class Link:
    """A network interface. `mac` is lower-case with colons, empty where the kind has none; `mtu` in bytes.

    `tunnel`: of a kind without any link layer, as those of WireGuard and other tunnels are.
    """

    index: int
    name: str
    mac: str
    mtu: int
    up: bool
    tunnel: bool = False


@dataclass(frozen=True)
class Route:
    """A unicast route of the main table. `destination` is a prefix, `via` the next hop or None, `index` the link's."""

    destination: str
    via: str | None
    index: int | None


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return NLMSGHDR.pack(NLMSGHDR.size + len(body), kind, flags, sequence, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    """A length-prefixed value, padded to 4 bytes."""
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def parse_messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(type, sequence number, body) of each message."""
    offset = 0
    while offset + NLMSGHDR.size <= len(data):
        length, kind, _, sequence, _ = NLMSGHDR.unpack_from(data, offset)
        if length < NLMSGHDR.size:
            return
        yield kind, sequence, data[offset + NLMSGHDR.size : offset + length]
        offset += (length + 3) & ~3


def parse_attributes(data: bytes) -> Attributes:
    found: Attributes = {}
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def parse_link(body: bytes) -> Link:
    _, kind, index, flags, _ = IFINFOMSG.unpack_from(body)
    values = parse_attributes(body[IFINFOMSG.size :])
    mtu = struct.unpack("=I", values[IFLA_MTU])[0] if IFLA_MTU in values else 0
    name = values.get(IFLA_IFNAME, b"").rstrip(b"\0").decode()
    return Link(index, name, values.get(IFLA_ADDRESS, b"").hex(":"), mtu, bool(flags & IFF_UP), kind == ARPHRD_NONE)


def parse_route(body: bytes) -> Route | None:
    """None for what is no unicast route of the main table."""
    family, length, _, _, table, _, _, kind, _ = RTMSG.unpack_from(body)
    if table != RT_TABLE_MAIN or kind != RTN_UNICAST:
        return None
    values = parse_attributes(body[RTMSG.size :])
    anywhere = bytes(4 if family == socket.AF_INET else 16)
    destination = f"{socket.inet_ntop(family, values.get(RTA_DST, anywhere))}/{length}"
    via = socket.inet_ntop(family, values[RTA_GATEWAY]) if RTA_GATEWAY in values else None
    index = struct.unpack("=i", values[RTA_OIF])[0] if RTA_OIF in values else None
    return Route(destination, via, index)


def split_prefix(text: str) -> tuple[int, bytes, int]:
    """(family, packed address, prefix length) of "10.1.0.2/24"; a bare address is a host. Raises ValueError."""
    address, slash, length = text.partition("/")
    family, packed = pack_address(address)
    longest = 8 * len(packed)
    bits = int(length) if slash else longest
    if not 0 <= bits <= longest:
        raise ValueError(f"{text}: the prefix length is 0 to {longest}")
    return family, packed, bits


def pack_address(text: str) -> tuple[int, bytes]:
    """Raises ValueError."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return family, socket.inet_pton(family, text)
    except OSError:
        raise ValueError(f"{text!r} is no IP address") from None


def address_message(index: int, address: str, *, nodad: bool = False) -> bytes:
    family, packed, length = split_prefix(address)
    body = IFADDRMSG.pack(family, length, 0, RT_SCOPE_UNIVERSE, index)
    body += attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)
    if nodad and family == socket.AF_INET6:
        body += attribute(IFA_FLAGS, struct.pack("=I", IFA_F_NODAD))
    return body


def route_message(
    destination: str, *, via: str | None, index: int | None, mtu: int | None = None, deleting: bool = False
) -> bytes:
    family, packed, length = split_prefix(destination)
    on_link = RT_SCOPE_LINK if family == socket.AF_INET and via is None else RT_SCOPE_UNIVERSE
    scope = RT_SCOPE_NOWHERE if deleting and family == socket.AF_INET else on_link
    protocol = 0 if deleting else RTPROT_STATIC
    body = RTMSG.pack(family, length, 0, 0, RT_TABLE_MAIN, protocol, scope, RTN_UNICAST, 0) + attribute(RTA_DST, packed)
    if via is not None:
        next_hop_family, next_hop = pack_address(via)
        if next_hop_family != family:
            raise ValueError(f"route {destination} via {via}: both must be of one address family")
        body += attribute(RTA_GATEWAY, next_hop)
    if index is not None:
        body += attribute(RTA_OIF, struct.pack("=i", index))
    if mtu is not None:
        body += attribute(RTA_METRICS, attribute(RTAX_MTU, struct.pack("=I", mtu)))
    return body


def neighbour_message(index: int, address: str, *, state: int = 0, flags: int = 0) -> bytes:
    family, packed = pack_address(address)
    return NDMSG.pack(family, index, state, flags, 0) + attribute(NDA_DST, packed)
