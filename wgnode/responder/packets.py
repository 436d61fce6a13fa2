"""ARP (RFC 826, RFC 5227) and neighbour discovery (RFC 4861) as Ethernet frames: what is heard, and what is said."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from wgnode.pathmtu.checksum import checksum, pseudo_header

Address = IPv4Address | IPv6Address
MAC_LENGTH = 6
EVERYBODY = b"\xff" * MAC_LENGTH
NOBODY = IPv4Address(0)
UNSPECIFIED, ALL_NODES = IPv6Address("::"), IPv6Address("ff02::1")
_SOLICITED_NODE = IPv6Address("ff02::1:ff00:0").packed[:13]
_ARP, _IPV6 = (0x0806).to_bytes(2, "big"), (0x86DD).to_bytes(2, "big")
_ARP_HEAD = bytes.fromhex("000108000604")  # Ethernet and IPv4
_REQUEST, _REPLY = 1, 2
_ICMPV6, _HOP_LIMIT = 58, 255
_SOLICITATION, _ADVERTISEMENT = 135, 136
_SOLICITED, _OVERRIDE = 0x40, 0x20
_TARGET_ADDRESS = b"\x02\x01"


class Kind(Enum):
    """What a frame says of an address."""

    ASKED = "asked"
    """Who has it? By somebody who has an address of their own."""
    PROBED = "probed"
    """Does anybody have it? By somebody who wants to take it (RFC 5227 section 2.1, RFC 4862 section 5.4)."""
    CLAIMED = "claimed"
    """I have it."""


@dataclass(frozen=True)
class Said:
    """`by` is the sender's MAC, `asker` the address that wants to know, `to_all` whether it went to more than one."""

    kind: Kind
    address: Address
    by: bytes
    asker: Address | None = None
    to_all: bool = True


def heard(frame: bytes) -> list[Said]:
    """What a frame says, in which nothing is believed that the standards refuse; nothing for any other frame.

    One ARP packet may say two things: who asks claims an address of their own.
    """
    if frame[12:14] == _ARP:
        return _arp(frame)
    return _discovery(frame) if frame[12:14] == _IPV6 else []


def _arp(frame: bytes) -> list[Said]:
    body = frame[14:42]
    if len(body) < 28 or body[:6] != _ARP_HEAD or (operation := body[7]) not in (_REQUEST, _REPLY) or body[6]:
        return []
    by, sender, target = body[8:14], IPv4Address(body[14:18]), IPv4Address(body[24:28])
    to_all = bool(frame[0] & 1)
    if sender == NOBODY:
        return [Said(Kind.PROBED, target, by, None, to_all)] if operation == _REQUEST else []
    claimed = Said(Kind.CLAIMED, sender, by, None, to_all)
    if operation == _REPLY or sender == target:
        return [claimed]
    return [claimed, Said(Kind.ASKED, target, by, sender, to_all)]


def _discovery(frame: bytes) -> list[Said]:
    """RFC 4861 sections 7.1.1 and 7.1.2."""
    header, length = frame[14:54], int.from_bytes(frame[18:20], "big")
    message = frame[54 : 54 + length]
    if len(header) < 40 or header[6] != _ICMPV6 or header[7] != _HOP_LIMIT or len(message) != length or length < 24:
        return []
    source, destination, kind = header[8:24], header[24:40], message[0]
    if message[1] or kind not in (_SOLICITATION, _ADVERTISEMENT):
        return []
    if checksum(message, pseudo_header(source, destination, _ICMPV6, length)):
        return []
    by, target, to_all = frame[6:12], IPv6Address(message[8:24]), bool(frame[0] & 1)
    if kind == _ADVERTISEMENT:
        return [Said(Kind.CLAIMED, target, by, None, to_all)]
    asker = IPv6Address(source)
    if asker == UNSPECIFIED:
        return [Said(Kind.PROBED, target, by, None, to_all)]
    return [Said(Kind.ASKED, target, by, asker, to_all)]


def probe(mac: bytes, address: Address) -> bytes:
    """Does anybody have it?"""
    if isinstance(address, IPv4Address):
        return _arp_frame(EVERYBODY, mac, _REQUEST, NOBODY, bytes(MAC_LENGTH), address)
    group = solicited_node(address)
    return _icmp_frame(group_mac(group), mac, UNSPECIFIED, group, bytes([_SOLICITATION, 0]), 0, address, b"")


def announcement(mac: bytes, address: Address) -> bytes:
    """I have it, to everybody (RFC 5227 section 2.3, RFC 4861 section 7.2.6)."""
    if isinstance(address, IPv4Address):
        return _arp_frame(EVERYBODY, mac, _REQUEST, address, bytes(MAC_LENGTH), address)
    return _advertisement(group_mac(ALL_NODES), mac, address, ALL_NODES, _OVERRIDE)


def answer(mac: bytes, said: Said) -> bytes:
    """To who asks for an address, or probes it."""
    address, asker = said.address, said.asker
    if isinstance(address, IPv4Address):
        to = asker if isinstance(asker, IPv4Address) else NOBODY
        return _arp_frame(said.by, mac, _REPLY, address, said.by, to)
    if not isinstance(asker, IPv6Address):
        return announcement(mac, address)
    return _advertisement(said.by, mac, address, asker, _SOLICITED | _OVERRIDE)


def solicited_node(address: IPv6Address) -> IPv6Address:
    """The multicast group that is asked for it (RFC 4291 section 2.7.1)."""
    return IPv6Address(_SOLICITED_NODE + address.packed[13:])


def group_mac(group: IPv6Address) -> bytes:
    """RFC 2464 section 7."""
    return b"\x33\x33" + group.packed[12:]


def _arp_frame(
    to: bytes, mac: bytes, operation: int, sender: IPv4Address, target_mac: bytes, target: IPv4Address
) -> bytes:
    body = _ARP_HEAD + operation.to_bytes(2, "big") + mac + sender.packed + target_mac + target.packed
    return to + mac + _ARP + body


def _advertisement(to: bytes, mac: bytes, target: IPv6Address, reader: IPv6Address, flags: int) -> bytes:
    head = bytes([_ADVERTISEMENT, 0])
    return _icmp_frame(to, mac, target, reader, head, flags << 24, target, _TARGET_ADDRESS + mac)


def _icmp_frame(
    to: bytes,
    mac: bytes,
    source: IPv6Address,
    destination: IPv6Address,
    head: bytes,
    flags: int,
    target: IPv6Address,
    option: bytes,
) -> bytes:
    rest = flags.to_bytes(4, "big") + target.packed + option
    length = 4 + len(rest)
    start = pseudo_header(source.packed, destination.packed, _ICMPV6, length)
    message = head + checksum(head + bytes(2) + rest, start).to_bytes(2, "big") + rest
    header = (6 << 28).to_bytes(4, "big") + length.to_bytes(2, "big") + bytes([_ICMPV6, _HOP_LIMIT])
    return to + mac + _IPV6 + header + source.packed + destination.packed + message
