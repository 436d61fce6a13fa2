"""Tell a link's neighbours whose its addresses are: ARP announcements (RFC 5227 section 2.3) and unsolicited neighbour
advertisements (RFC 4861 section 7.2.6).

The kernel says it once, as a link goes up (arp_notify, ndisc_notify): to nobody where a bridge or switch does not
forward yet. Whoever still has the former gateway's MAC would then send it there for minutes.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_interface

from wgnode.pathmtu.checksum import checksum, pseudo_header

_ETH_P_ARP, _ETH_P_IPV6 = 0x0806, 0x86DD
_EVERYBODY = b"\xff" * 6
_ALL_NODES, _ALL_NODES_MAC = IPv6Address("ff02::1").packed, bytes.fromhex("333300000001")
_ADVERTISEMENT, _ROUTER_OVERRIDE = 136, 0xA0 << 24
_TARGET_ADDRESS = b"\x02\x01"


def announce(name: str, mac: str, addresses: Iterable[str]) -> None:
    """By the interface of that name, for addresses with their prefix lengths. Raises OSError."""
    hardware = bytes.fromhex(mac.replace(":", ""))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as card:
        card.bind((name, 0))
        for each in addresses:
            card.send(frame(hardware, ip_interface(each).ip))


def frame(mac: bytes, address: IPv4Address | IPv6Address) -> bytes:
    """The Ethernet frame that announces an address at a MAC of 6 bytes."""
    if isinstance(address, IPv4Address):
        request = bytes.fromhex("0001080006040001") + mac + address.packed + bytes(6) + address.packed
        return _EVERYBODY + mac + _ETH_P_ARP.to_bytes(2, "big") + request
    return _ALL_NODES_MAC + mac + _ETH_P_IPV6.to_bytes(2, "big") + _advertisement(mac, address.packed)


def _advertisement(mac: bytes, target: bytes) -> bytes:
    rest = _ROUTER_OVERRIDE.to_bytes(4, "big") + target + _TARGET_ADDRESS + mac
    head, length = bytes([_ADVERTISEMENT, 0]), 4 + len(rest)
    start = pseudo_header(target, _ALL_NODES, socket.IPPROTO_ICMPV6, length)
    message = head + checksum(head + bytes(2) + rest, start).to_bytes(2, "big") + rest
    header = (6 << 28).to_bytes(4, "big") + length.to_bytes(2, "big") + bytes([socket.IPPROTO_ICMPV6, 255])
    return header + target + _ALL_NODES + message
