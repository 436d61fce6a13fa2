"""Links, addresses, routes and neighbours by raw rtnetlink; kernel settings by /proc/sys.

Small and without imports of weight, because it is what PID 1 in the gateway configures its network with.
Every change is idempotent: what is already so is no error. Message layouts: linux/netlink.h, linux/rtnetlink.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wgnode.io import only

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
SOL_NETLINK, NETLINK_GET_STRICT_CHK = 270, 12
RECEIVE = 1 << 18
AT_ONCE = 1024
"""Messages that are read before something else has its turn, however fast they come."""

Attributes = dict[int, bytes]


class NetlinkError(OSError):
    """The kernel refused a request; the text says which."""


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


class Rtnetlink:
    """A socket to the kernel's routing tables, in the network namespace where it was made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Rtnetlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Links

    def links(self) -> list[Link]:
        answers = self._ask(RTM_GETLINK, NLM_F_DUMP, IFINFOMSG.pack(0, 0, 0, 0, 0), "list links")
        return [parse_link(body) for body in answers]

    def link(self, name: str) -> Link:
        """Raises NetlinkError (ENODEV)."""
        return self._find(name, lambda link: link.name == name)

    def link_by_mac(self, mac: str) -> Link:
        """Raises NetlinkError (ENODEV)."""
        return self._find(mac, lambda link: link.mac == mac.lower())

    def link_at(self, index: int) -> Link:
        """Raises NetlinkError (ENODEV)."""
        body = IFINFOMSG.pack(0, 0, index, 0, 0)
        (answer,) = self._ask(RTM_GETLINK, NLM_F_ACK, body, f"network interface with index {index}")
        return parse_link(answer)

    def _find(self, what: str, test: Callable[[Link], bool]) -> Link:
        for link in self.links():
            if test(link):
                return link
        raise NetlinkError(errno.ENODEV, f"no network interface {what}")

    def set_link(
        self,
        index: int,
        *,
        up: bool | None = None,
        mtu: int | None = None,
        name: str | None = None,
        gso_max_segs: int | None = None,
    ) -> None:
        """Change what is not None. An interface must be down to be renamed.

        `gso_max_segs`: how many packets it may be given as one.
        """
        flags, mask = (IFF_UP if up else 0), (0 if up is None else IFF_UP)
        body = IFINFOMSG.pack(0, 0, index, flags, mask)
        if mtu is not None:
            body += attribute(IFLA_MTU, struct.pack("=I", mtu))
        if name is not None:
            body += attribute(IFLA_IFNAME, name.encode() + b"\0")
        if gso_max_segs is not None:
            body += attribute(IFLA_GSO_MAX_SEGS, struct.pack("=I", gso_max_segs))
        self._ask(RTM_NEWLINK, NLM_F_ACK, body, f"change link {index}")

    def delete_link(self, index: int) -> None:
        self._ask(RTM_DELLINK, NLM_F_ACK, IFINFOMSG.pack(0, 0, index, 0, 0), f"delete link {index}")

    # Addresses

    def add_address(self, index: int, address: str) -> None:
        """`address` as "10.1.0.2/24". IPv6 is usable at once (no duplicate address detection)."""
        body = address_message(index, address, nodad=True)
        self._ask(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, body, f"add address {address}", errno.EEXIST)

    def delete_address(self, index: int, address: str) -> None:
        body = address_message(index, address)
        self._ask(RTM_DELADDR, NLM_F_ACK, body, f"delete address {address}", errno.EADDRNOTAVAIL)

    def addresses(self, index: int) -> list[str]:
        """Of one link, as "10.1.0.2/24"; an IPv6 link-local address is one of them."""
        answers = self._ask(RTM_GETADDR, NLM_F_DUMP, IFADDRMSG.pack(0, 0, 0, 0, 0), "list addresses")
        found = []
        for body in answers:
            family, length, _, _, at = IFADDRMSG.unpack_from(body)
            values = parse_attributes(body[IFADDRMSG.size :])
            if at == index and (value := values.get(IFA_LOCAL, values.get(IFA_ADDRESS))) is not None:
                found.append(f"{socket.inet_ntop(family, value)}/{length}")
        return found

    # Routes

    def add_route(
        self, destination: str, *, via: str | None = None, index: int | None = None, mtu: int | None = None
    ) -> None:
        """Add or replace a route of the main table ("0.0.0.0/0" is the default route), by next hop or link."""
        body = route_message(destination, via=via, index=index, mtu=mtu)
        self._ask(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, body, f"add route {destination}")

    def delete_route(self, destination: str, *, via: str | None = None, index: int | None = None) -> None:
        body = route_message(destination, via=via, index=index, deleting=True)
        self._ask(RTM_DELROUTE, NLM_F_ACK, body, f"delete route {destination}", errno.ESRCH, errno.ENOENT)

    def routes(self) -> list[Route]:
        """Unicast routes of the main table, both families."""
        found = []
        for family in (socket.AF_INET, socket.AF_INET6):
            request = RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
            for body in self._ask(RTM_GETROUTE, NLM_F_DUMP, request, "list routes"):
                if (route := parse_route(body)) is not None:
                    found.append(route)
        return found

    def routes_of(self, index: int) -> list[bytes]:
        """Messages of all routes of one link, both families and all tables.

        Raises NetlinkError (ENODEV).
        """
        self._socket.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        outgoing = attribute(RTA_OIF, struct.pack("=i", index))
        found = []
        for family in (socket.AF_INET, socket.AF_INET6):
            request = RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0) + outgoing
            answers = self._ask(RTM_GETROUTE, NLM_F_DUMP, request, f"routes of link {index}")
            found += [body for body in answers if outgoing in body]
        return found

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
        (answer,) = self._ask(RTM_GETROUTE, NLM_F_ACK, body, f"route to {address}")
        return int(struct.unpack("=i", parse_attributes(answer[RTMSG.size :])[RTA_OIF])[0])

    # Neighbours

    def add_neighbour(self, index: int, address: str, mac: str) -> None:
        """A permanent entry: nobody needs to ask for the MAC address."""
        hardware = bytes.fromhex(mac.replace(":", ""))
        body = neighbour_message(index, address, state=NUD_PERMANENT) + attribute(NDA_LLADDR, hardware)
        self._ask(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, body, f"add neighbour {address}")

    def add_proxy(self, index: int, address: str) -> None:
        """Answer ARP or neighbour solicitations for `address` on this link."""
        body = neighbour_message(index, address, flags=NTF_PROXY)
        self._ask(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, body, f"add proxy {address}")

    def delete_proxy(self, index: int, address: str) -> None:
        body = neighbour_message(index, address, flags=NTF_PROXY)
        self._ask(RTM_DELNEIGH, NLM_F_ACK, body, f"delete proxy {address}", errno.ENOENT)

    def _ask(self, kind: int, flags: int, body: bytes, what: str, *fine: int) -> list[bytes]:
        """Send one request, return the bodies of the answers. `fine` are errnos that mean "already so"."""
        self._sequence += 1
        self._socket.send(message(kind, NLM_F_REQUEST | flags, self._sequence, body))
        answers: list[bytes] = []
        while True:
            for answer, sequence, content in parse_messages(self._socket.recv(RECEIVE)):
                if sequence != self._sequence:
                    continue
                if answer in (NLMSG_ERROR, NLMSG_DONE):
                    code = -struct.unpack_from("=i", content)[0] if len(content) >= 4 else 0
                    if code and code not in fine:
                        raise NetlinkError(code, f"{what}: {os.strerror(code)}")
                    return answers
                answers.append(content)


class LinkMonitor:
    """Tells of changes of links, or of the one with this index. `fd` is readable when there are some."""

    def __init__(self, index: int | None = None) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        if index is not None:
            only.links_at(self._socket, index)
        self._socket.bind((0, RTMGRP_LINK))
        self.fd = self._socket.fileno()

    def read(self) -> list[tuple[Link, bool]]:
        """Changed links, oldest first, each with whether it still exists. May miss some (ENOBUFS): then ask anew."""
        changes: list[tuple[Link, bool]] = []
        while True:
            try:
                data = self._socket.recv(RECEIVE)
            except BlockingIOError:
                return changes
            for kind, _, body in parse_messages(data):
                if kind in (RTM_NEWLINK, RTM_DELLINK):
                    changes.append((parse_link(body), kind == RTM_NEWLINK))

    def close(self) -> None:
        self._socket.close()


def write_sysctl(key: str, value: str | int) -> None:
    """Set "net/ipv4/ip_forward" (slashes, because interface names may have dots). Raises OSError."""
    with open(f"/proc/sys/{key}", "w") as setting:
        setting.write(f"{value}\n")


def read_sysctl(key: str) -> str:
    with open(f"/proc/sys/{key}") as setting:
        return setting.read().strip()


# Messages, pure


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
