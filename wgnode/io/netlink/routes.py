"""Routes and neighbours. Layouts: linux/rtnetlink.h, linux/neighbour.h (rtnetlink(7))."""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass

from wgnode.io.netlink.codec import NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE, attribute, parse_attributes
from wgnode.io.netlink.connection import Connection
from wgnode.io.netlink.prefix import pack_address, split_prefix

RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH = 28, 29
RTA_DST, RTA_SRC, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC, RTA_METRICS, RTA_MARK = 1, 2, 4, 5, 7, 8, 16
RTAX_MTU = 2
NDA_DST, NDA_LLADDR = 1, 2
NUD_PERMANENT, NTF_PROXY = 0x80, 0x08
RT_TABLE_MAIN, RTPROT_STATIC = 254, 4
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_NOWHERE = 0, 253, 255
RTN_UNICAST = 1
RTMSG = struct.Struct("=BBBBBBBBI")
NDMSG = struct.Struct("=BxxxiHBB")
FAMILIES = (socket.AF_INET, socket.AF_INET6)


@dataclass(frozen=True)
class Route:
    """A unicast route of the main table. `destination` is a prefix, `via` the next hop or None, `index` the link's."""

    destination: str
    via: str | None
    index: int | None


class Routes(Connection):
    """Raises NetlinkError, naming the request."""

    def add_route(
        self, destination: str, *, via: str | None = None, index: int | None = None, mtu: int | None = None
    ) -> None:
        """Add or replace a route of the main table ("0.0.0.0/0" is the default route), by next hop or link."""
        body = route_message(destination, via=via, index=index, mtu=mtu)
        self.ask(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, body, f"add route {destination}")

    def delete_route(self, destination: str, *, via: str | None = None, index: int | None = None) -> None:
        body = route_message(destination, via=via, index=index, deleting=True)
        self.ask(RTM_DELROUTE, NLM_F_ACK, body, f"delete route {destination}", errno.ESRCH, errno.ENOENT)

    def routes(self) -> list[Route]:
        """Unicast routes of the main table, both families."""
        found = []
        for family in FAMILIES:
            for body in self.ask(RTM_GETROUTE, NLM_F_DUMP, _everything(family), "list routes"):
                if (route := parse_route(body)) is not None:
                    found.append(route)
        return found

    def route_mtus(self, index: int) -> tuple[int, ...]:
        """MTUs of the routes by one link, ascending, of both families and all tables.

        Raises NetlinkError (ENODEV), OSError (ENOPROTOOPT) before Linux 4.20.
        """
        self.be_strict()
        found = set()
        for family in FAMILIES:
            request = _everything(family) + _outgoing(index)
            for body in self.ask(RTM_GETROUTE, NLM_F_DUMP, request, f"routes of link {index}"):
                if leaves_by(body, index) and (mtu := route_mtu(body)):
                    found.add(mtu)
        return tuple(sorted(found))

    def output_interface(self, address: str, *, source: str | None = None, fwmark: int = 0) -> int:
        """Index of the interface by which a datagram to `address` leaves.

        Raises NetlinkError (ENETUNREACH) without a route, or where `source` is an IPv4 address that is not ours.
        """
        family, packed = pack_address(address)
        bits = 8 * len(packed)
        body = RTMSG.pack(family, bits, bits if source else 0, 0, 0, 0, 0, 0, 0) + attribute(RTA_DST, packed)
        if source is not None:
            body += attribute(RTA_SRC, pack_address(source)[1])
        if fwmark:
            body += attribute(RTA_MARK, struct.pack("=I", fwmark))
        (answer,) = self.ask(RTM_GETROUTE, NLM_F_ACK, body, f"route to {address}")
        return int(struct.unpack("=i", parse_attributes(answer[RTMSG.size :])[RTA_OIF])[0])

    def way_to(self, address: bytes) -> tuple[int, bytes | None]:
        """Index of the interface by which a packet to this address (4 or 16 bytes) leaves, and its source's address.

        Raises NetlinkError (ENETUNREACH) without a route.
        """
        family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
        body = RTMSG.pack(family, 8 * len(address), 0, 0, 0, 0, 0, 0, 0) + attribute(RTA_DST, address)
        (answer,) = self.ask(RTM_GETROUTE, NLM_F_ACK, body, f"route to {socket.inet_ntop(family, address)}")
        values = parse_attributes(answer[RTMSG.size :])
        return int(struct.unpack("=i", values[RTA_OIF])[0]), values.get(RTA_PREFSRC)

    def add_neighbour(self, index: int, address: str, mac: str) -> None:
        """A permanent entry: nobody needs to ask for the MAC address."""
        hardware = bytes.fromhex(mac.replace(":", ""))
        body = neighbour_message(index, address, state=NUD_PERMANENT) + attribute(NDA_LLADDR, hardware)
        self.ask(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, body, f"add neighbour {address}")

    def add_proxy(self, index: int, address: str) -> None:
        """Answer ARP or neighbour solicitations for `address` on this link."""
        body = neighbour_message(index, address, flags=NTF_PROXY)
        self.ask(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, body, f"add proxy {address}")

    def delete_proxy(self, index: int, address: str) -> None:
        body = neighbour_message(index, address, flags=NTF_PROXY)
        self.ask(RTM_DELNEIGH, NLM_F_ACK, body, f"delete proxy {address}", errno.ENOENT)


# Messages, pure


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


def route_mtu(body: bytes) -> int | None:
    """The MTU, in bytes, that a route's message gives it, if any."""
    metrics = parse_attributes(parse_attributes(body[RTMSG.size :]).get(RTA_METRICS, b""))
    return int(struct.unpack("=I", metrics[RTAX_MTU])[0]) if RTAX_MTU in metrics else None


def leaves_by(body: bytes, index: int) -> bool:
    """Whether a route's message names that interface; seen without reading the others', of which there may be many."""
    return _outgoing(index) in body


def route_message(
    destination: str, *, via: str | None, index: int | None, mtu: int | None = None, deleting: bool = False
) -> bytes:
    """Raises ValueError for what is no network, and for a next hop of the other family."""
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
        body += _outgoing(index)
    if mtu is not None:
        body += attribute(RTA_METRICS, attribute(RTAX_MTU, struct.pack("=I", mtu)))
    return body


def neighbour_message(index: int, address: str, *, state: int = 0, flags: int = 0) -> bytes:
    """Raises ValueError for what is no address."""
    family, packed = pack_address(address)
    return NDMSG.pack(family, index, state, flags, 0) + attribute(NDA_DST, packed)


def _everything(family: int) -> bytes:
    return RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)


def _outgoing(index: int) -> bytes:
    return attribute(RTA_OIF, struct.pack("=i", index))
