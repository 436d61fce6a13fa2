"""The four message types on the wire (wp 5.4): lengths are checked once, here. All integers are little-endian."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from wgnode.protocol.constants import MAC_LENGTH

INITIATION = 1
RESPONSE = 2
COOKIE_REPLY = 3
TRANSPORT = 4

INITIATION_LENGTH = 148
RESPONSE_LENGTH = 92
COOKIE_REPLY_LENGTH = 64
TRANSPORT_HEADER_LENGTH = 16
TRANSPORT_MIN_LENGTH = 32

LENGTHS = {INITIATION: INITIATION_LENGTH, RESPONSE: RESPONSE_LENGTH, COOKIE_REPLY: COOKIE_REPLY_LENGTH}

MESSAGE_TYPE = Struct("<I")
"""One type byte and three reserved zero bytes, read as one integer so that nonzero ones make the type unknown."""
TRANSPORT_HEADER = Struct("<IIQ")
"""Type, receiver index, counter."""

_INITIATION = Struct("<II32s48s28s")
_RESPONSE = Struct("<III32s16s")
_COOKIE_REPLY = Struct("<II24s32s")
_NO_MACS = bytes(2 * MAC_LENGTH)


@dataclass(frozen=True)
class Initiation:
    """First message of a handshake (wp 5.4.2), without its macs."""

    sender: int
    ephemeral: bytes
    static: bytes
    timestamp: bytes

    def pack(self) -> bytes:
        """The bytes that mac1 covers."""
        return _INITIATION.pack(INITIATION, self.sender, self.ephemeral, self.static, self.timestamp)

    @classmethod
    def parse(cls, data: bytes) -> Initiation:
        """`data` has INITIATION_LENGTH bytes."""
        return cls(*_INITIATION.unpack_from(data)[1:])


@dataclass(frozen=True)
class Response:
    """Second message of a handshake (wp 5.4.3), without its macs."""

    sender: int
    receiver: int
    ephemeral: bytes
    empty: bytes

    def pack(self) -> bytes:
        """The bytes that mac1 covers."""
        return _RESPONSE.pack(RESPONSE, self.sender, self.receiver, self.ephemeral, self.empty)

    @classmethod
    def parse(cls, data: bytes) -> Response:
        """`data` has RESPONSE_LENGTH bytes."""
        return cls(*_RESPONSE.unpack_from(data)[1:])


@dataclass(frozen=True)
class CookieReply:
    """What a responder under load answers (wp 5.4.7)."""

    receiver: int
    nonce: bytes
    cookie: bytes

    def pack(self) -> bytes:
        """The whole message; it carries no macs."""
        return _COOKIE_REPLY.pack(COOKIE_REPLY, self.receiver, self.nonce, self.cookie)

    @classmethod
    def parse(cls, data: bytes) -> CookieReply:
        """`data` has COOKIE_REPLY_LENGTH bytes."""
        return cls(*_COOKIE_REPLY.unpack(data)[1:])


def message_type(data: bytes) -> int:
    """INITIATION .. TRANSPORT when type, reserved bytes and length are right, else 0."""
    if len(data) < TRANSPORT_MIN_LENGTH:
        return 0
    (kind,) = MESSAGE_TYPE.unpack_from(data)
    if kind == TRANSPORT or LENGTHS.get(kind) == len(data):
        return int(kind)
    return 0


def sender_index(handshake_message: bytes) -> int:
    """The sender index of an initiation or response: both have it after the type."""
    return int.from_bytes(handshake_message[4:8], "little")
