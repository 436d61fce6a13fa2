"""Netlink messages and attributes as bytes, both ways; pure. Layouts: linux/netlink.h, which all families share."""

from __future__ import annotations

import struct
from collections.abc import Iterator

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x400, 0x800
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF
NLMSGHDR = struct.Struct("=IHHII")

Attributes = dict[int, bytes]


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return NLMSGHDR.pack(NLMSGHDR.size + len(body), kind, flags, sequence, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    """A length-prefixed value, padded to 4 bytes."""
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def nested(kind: int, content: bytes) -> bytes:
    """An attribute of attributes, marked as such."""
    return attribute(kind | NLA_F_NESTED, content)


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


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
        found[kind & NLA_TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def refusal(content: bytes) -> int:
    """The errno in the body of NLMSG_ERROR or of NLMSG_DONE, 0 where all is well."""
    return -int(struct.unpack_from("=i", content)[0]) if len(content) >= 4 else 0
