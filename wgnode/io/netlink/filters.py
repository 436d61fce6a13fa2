"""Of what a netlink socket is told, only what is of one interface: the kernel leaves out the rest without waking us.

Where links and routes of others come and go by thousands a second (containers, BGP), reading of each what it is about
would keep a core busy. Classic socket filters (linux/filter.h) see a message as it is sent, its header first.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct

SO_ATTACH_FILTER = 26
BPF_LD_WORD, BPF_LD_IMMEDIATE, BPF_LD_AT_X = 0x20, 0x00, 0x40
BPF_LD_BYTE = 0x30
BPF_LDX_IMMEDIATE, BPF_TAX = 0x01, 0x07
BPF_JUMP_IF_EQUAL, BPF_RETURN = 0x15, 0x06
NETLINK_ATTRIBUTE = 0xFFFFF000 + 12
"""SKF_AD_OFF + SKF_AD_NLATTR: from where an attribute of kind X is, searched from A on; 0 if there is none."""
ALL, NOTHING = 0xFFFFFFFF, 0
LINK_INDEX = 16 + 4
"""Bytes of nlmsghdr, then of ifinfomsg before ifi_index."""
ROUTE_ATTRIBUTES = 16 + 12
"""Bytes of nlmsghdr and rtmsg."""
ETHERNET, ICMPV6, SOLICITATION, ADVERTISEMENT = 14, 58, 135, 136
RTA_OIF, ATTRIBUTE_HEADER = 4, 4

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, constant."""


def links_at(made: socket.socket, index: int) -> None:
    """Of messages about links, those about the one with this index."""
    _attach(made, (BPF_LD_WORD, 0, 0, LINK_INDEX), *_if_it_is(index))


def routes_by(made: socket.socket, index: int) -> None:
    """Of messages about routes, those about routes by the interface with this index alone."""
    _attach(
        made,
        (BPF_LDX_IMMEDIATE, 0, 0, RTA_OIF),
        (BPF_LD_IMMEDIATE, 0, 0, ROUTE_ATTRIBUTES),
        (BPF_LD_WORD, 0, 0, NETLINK_ATTRIBUTE),
        (BPF_JUMP_IF_EQUAL, 4, 0, 0),
        (BPF_TAX, 0, 0, 0),
        (BPF_LD_AT_X, 0, 0, ATTRIBUTE_HEADER),
        *_if_it_is(index),
    )


def solicitations(made: socket.socket) -> None:
    """Of IPv6's Ethernet frames, a packet(7) socket's, those of neighbour discovery (RFC 4861)."""
    _attach(
        made,
        (BPF_LD_BYTE, 0, 0, ETHERNET + 6),
        (BPF_JUMP_IF_EQUAL, 0, 4, ICMPV6),
        (BPF_LD_BYTE, 0, 0, ETHERNET + 40),
        (BPF_JUMP_IF_EQUAL, 1, 0, SOLICITATION),
        (BPF_JUMP_IF_EQUAL, 0, 1, ADVERTISEMENT),
        (BPF_RETURN, 0, 0, ALL),
        (BPF_RETURN, 0, 0, NOTHING),
    )


def _if_it_is(index: int) -> tuple[Instruction, ...]:
    """A filter reads words as the network writes them, a netlink message has them as the machine does."""
    swapped = int.from_bytes(struct.pack("=I", index), "big")
    return (BPF_JUMP_IF_EQUAL, 0, 1, swapped), (BPF_RETURN, 0, 0, ALL), (BPF_RETURN, 0, 0, NOTHING)


def _attach(made: socket.socket, *instructions: Instruction) -> None:
    """A kernel without filters tells everything, and whoever reads it looks what it is about anyway."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in instructions))
    with contextlib.suppress(OSError):
        program = struct.pack("@HP", len(instructions), ctypes.addressof(code))
        made.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
