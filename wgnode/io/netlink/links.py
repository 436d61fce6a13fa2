"""Links and their addresses. Layouts: linux/if_link.h, linux/if_addr.h (rtnetlink(7))."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from wgnode.io.netlink.codec import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_REPLACE,
    attribute,
    parse_attributes,
    text,
)
from wgnode.io.netlink.connection import Connection, NetlinkError
from wgnode.io.netlink.prefix import split_prefix

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_GSO_MAX_SEGS = 1, 3, 4, 40
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
IFA_F_NODAD = 0x02
IFF_UP = 0x1
ARPHRD_NONE = 0xFFFE
RT_SCOPE_UNIVERSE = 0
IFINFOMSG = struct.Struct("=BxHiII")
IFADDRMSG = struct.Struct("=BBBBI")


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


class Links(Connection):
    """Raises NetlinkError, naming the request."""

    def links(self) -> list[Link]:
        answers = self.ask(RTM_GETLINK, NLM_F_DUMP, IFINFOMSG.pack(0, 0, 0, 0, 0), "list links")
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
        (answer,) = self.ask(RTM_GETLINK, NLM_F_ACK, body, f"network interface with index {index}")
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
            body += text(IFLA_IFNAME, name)
        if gso_max_segs is not None:
            body += attribute(IFLA_GSO_MAX_SEGS, struct.pack("=I", gso_max_segs))
        self.ask(RTM_NEWLINK, NLM_F_ACK, body, f"change link {index}")

    def delete_link(self, index: int) -> None:
        self.ask(RTM_DELLINK, NLM_F_ACK, IFINFOMSG.pack(0, 0, index, 0, 0), f"delete link {index}")

    def add_address(self, index: int, address: str) -> None:
        """`address` as "10.1.0.2/24". IPv6 is usable at once (no duplicate address detection)."""
        body = address_message(index, address, nodad=True)
        self.ask(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, body, f"add address {address}", errno.EEXIST)

    def delete_address(self, index: int, address: str) -> None:
        body = address_message(index, address)
        self.ask(RTM_DELADDR, NLM_F_ACK, body, f"delete address {address}", errno.EADDRNOTAVAIL)

    def addresses(self, index: int) -> list[str]:
        """Of one link, as "10.1.0.2/24"; an IPv6 link-local address is one of them."""
        answers = self.ask(RTM_GETADDR, NLM_F_DUMP, IFADDRMSG.pack(0, 0, 0, 0, 0), "list addresses")
        found = []
        for body in answers:
            family, length, _, _, at = IFADDRMSG.unpack_from(body)
            values = parse_attributes(body[IFADDRMSG.size :])
            if at == index and (value := values.get(IFA_LOCAL, values.get(IFA_ADDRESS))) is not None:
                found.append(f"{socket.inet_ntop(family, value)}/{length}")
        return found


# Messages, pure


def parse_link(body: bytes) -> Link:
    _, kind, index, flags, _ = IFINFOMSG.unpack_from(body)
    values = parse_attributes(body[IFINFOMSG.size :])
    mtu = struct.unpack("=I", values[IFLA_MTU])[0] if IFLA_MTU in values else 0
    name = values.get(IFLA_IFNAME, b"").rstrip(b"\0").decode()
    return Link(index, name, values.get(IFLA_ADDRESS, b"").hex(":"), mtu, bool(flags & IFF_UP), kind == ARPHRD_NONE)


def address_message(index: int, address: str, *, nodad: bool = False) -> bytes:
    """Raises ValueError for what is no address."""
    family, packed, length = split_prefix(address)
    body = IFADDRMSG.pack(family, length, 0, RT_SCOPE_UNIVERSE, index)
    body += attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)
    if nodad and family == socket.AF_INET6:
        body += attribute(IFA_FLAGS, struct.pack("=I", IFA_F_NODAD))
    return body
