"""Links, addresses, routes and neighbours by raw rtnetlink.

Small and without imports of weight, because it is what PID 1 in the gateway configures its network with.
Every change is idempotent: what is already so is no error. The messages: rtmessages.py.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable

from wgnode.io import only
from wgnode.io.rtmessages import (
    IFA_ADDRESS,
    IFA_LOCAL,
    IFADDRMSG,
    IFF_UP,
    IFINFOMSG,
    IFLA_GSO_MAX_SEGS,
    IFLA_IFNAME,
    IFLA_MTU,
    NDA_LLADDR,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_REPLACE,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    NTF_PROXY,
    NUD_PERMANENT,
    RTA_DST,
    RTA_MARK,
    RTA_OIF,
    RTA_SRC,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELNEIGH,
    RTM_DELROUTE,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWNEIGH,
    RTM_NEWROUTE,
    RTMGRP_LINK,
    RTMSG,
    Link,
    Route,
    address_message,
    attribute,
    message,
    neighbour_message,
    pack_address,
    parse_attributes,
    parse_link,
    parse_messages,
    parse_route,
    route_message,
)

SOL_NETLINK, NETLINK_GET_STRICT_CHK = 270, 12
RECEIVE = 1 << 18
AT_ONCE = 1024
"""Messages that are read before something else has its turn, however fast they come."""


class NetlinkError(OSError):
    """The kernel refused a request; the text says which."""


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
