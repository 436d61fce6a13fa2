"""What a value of a packet has to do with the values that a rule names. Pure; None is "cannot be told"."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from wgnode.firewall.others.packet import Network, Packet
from wgnode.firewall.others.walk import Answer, either

NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}
_PROTOCOLS = {"ipv6-icmp": "icmpv6", "icmp6": "icmpv6", **{str(number): name for name, number in NUMBERS.items()}}
ANY = ("0.0.0.0/0", "::/0")


def protocol(packet: Packet, named: Any) -> Answer:
    name = str(named).lower()
    return packet.protocol == _PROTOCOLS.get(name, name)


def interface(name: str | None, pattern: str, wildcard: str) -> Answer:
    """`wildcard` is what a pattern for many ends with: "*" of nft, "+" of iptables. An interface whose name is not
    known is none that a rule names."""
    if pattern.endswith(wildcard):
        return pattern == wildcard or (name is not None and name.startswith(pattern[:-1]))
    return name == pattern


def number(value: int | None, low: int, high: int) -> Answer:
    if value is None:
        return True if low <= 0 and high >= 65535 else None
    return low <= value <= high


def address(value: Network | None, low: str, high: str | None = None) -> Answer:
    """Whether all of a network is within another ("10.0.0.0/8"), or a range; None where some of it is."""
    if low in ANY and high is None:
        return True
    try:
        first, last = _bounds(low) if high is None else (_int(low), _int(high))
    except ValueError:  # a name
        return None
    if value is None:
        return False if ":" in low and any(first >= start and last <= end for start, end in _NOWHERE) else None
    start, end = int(value.network_address), int(value.broadcast_address)
    if start >= first and end <= last:
        return True
    return False if end < first or start > last else None


def flags(packet: Packet, mask: Iterable[str], wanted: Iterable[str]) -> Answer:
    return packet.flags & set(mask) == set(wanted)


def one_of(answers: Iterable[Answer], negated: bool = False) -> Answer:
    found = either(answers)
    return found if found is None or not negated else not found


def _bounds(text: str) -> tuple[int, int]:
    network = ip_network(text, strict=False)
    return int(network.network_address), int(network.broadcast_address)


# Addresses of IPv4 in IPv6, which no packet has that is routed: firewalld drops them (RFC 3964).
_NOWHERE = [_bounds(one) for one in ("::/96", "::ffff:0:0/96", "2002::/16")]


def _int(text: str) -> int:
    return int(ip_address(text))
