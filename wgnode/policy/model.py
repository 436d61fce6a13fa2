"""The compiled access policy, and what a data plane tells of what it denied. Only values; hashable."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

NOTHING = 0
"""The class that may do nothing: it is always there. A number that a policy does not have is like it."""

MOST_FLOWS = 65_536
"""Flows in all."""
MOST_OF_DEVICE = 4_096
"""Flows that one device has begun, or that were begun to it from elsewhere than a device."""
MOST_FRAGMENTED = 1_024
"""Fragmented packets whose flow is remembered: those that began last."""
FRAGMENTS_LIVE = 30.0
"""Seconds that later fragments of a packet are awaited, as long as Linux does (net.ipv4.ipfrag_time)."""
MOST_DENIALS = 1_024
"""Different denials between two calls of `take_denials`."""

TCP_ESTABLISHED = 7_440.0
"""Seconds that a TCP flow may be silent (RFC 5382 REQ-5: 2 hours and 4 minutes)."""
TCP_TRANSITORY = 240.0
"""While only one side has spoken, and after FIN or RST (RFC 5382 REQ-5: 4 minutes)."""
UDP_IDLE, DNS_IDLE = 300.0, 120.0
"""RFC 4787 REQ-5: 5 minutes are recommended, 2 the least."""
ICMP_IDLE = 60.0
"""RFC 5508 REQ-2: 60 seconds at least."""
OTHER_IDLE = 300.0

SWEEP_EVERY, SWEEP_FULL_EVERY = 60.0, 1.0
"""Seconds between two looks at all flows for those that are over, and where a new one finds no place."""


class Rule(NamedTuple):
    """What is allowed, of the other side than the class's device: of destinations in `outgoing`, of sources in
    `incoming`. `id` is its path in the stack file, such as "groups.guests.reach[1]".

    `networks` and `internet` mean addresses that are no device's, `classes` the addresses of devices of these classes.
    `protocols` are numbers of IP, none for all; `ports` ranges (both ends in it) of the packet's destination, of TCP
    and UDP only, none for all.
    """

    id: str
    networks: tuple[str, ...] = ()
    classes: tuple[int, ...] = ()
    internet: bool = False
    protocols: tuple[int, ...] = ()
    ports: tuple[tuple[int, int], ...] = ()


class Class(NamedTuple):
    """What devices with the same rules may open (`outgoing`), and what may be opened to them from elsewhere than a
    device (`incoming`)."""

    outgoing: tuple[Rule, ...] = ()
    incoming: tuple[Rule, ...] = ()


class Policy(NamedTuple):
    """`classes[NOTHING]` is always there and empty. What lies in none of `known` is the internet. `own` are addresses
    of gateway and host, which only a network of full length reaches."""

    classes: tuple[Class, ...] = (Class(),)
    known: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


class Reason(StrEnum):
    """What a denial has in place of a rule."""

    NOTHING_ALLOWS = ""
    FULL = "full"
    """A new flow, and no place in the table."""
    SPOOFED = "spoofed"
    """From outside of the tunnels, with a device's address as source."""
    FRAGMENT = "fragment"
    """A later one, whose first was not seen or was denied."""
    ICMP = "icmp"
    """An error about a packet of no flow."""
    UNREADABLE = "unreadable"
    """Headers that nobody can follow, or that are not all there."""
    MORE = "more"
    """Of more different ones than are told one by one."""


class Denial(NamedTuple):
    """Packets that a device's class did not allow: from `peer` where `outgoing`, else to it. `rule` is a Reason.
    Addresses have 4 or 16 bytes; `port` is the destination's, 0 where there is none."""

    peer: int
    outgoing: bool
    rule: str
    source: bytes
    destination: bytes
    protocol: int
    port: int
    packets: int


class FlowFigures(NamedTuple):
    """Flows that there are, those that found no place, and all packets that were denied."""

    flows: int = 0
    refused: int = 0
    denied: int = 0
