"""Both macs of handshake messages, and cookies (wp 5.4.4 and 5.4.7): each side's half."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import InvalidTag

from wgnode.protocol.constants import COOKIE_SECRET_LATENCY, COOKIE_SECRET_MAX_AGE, KEY_LENGTH, MAC_LENGTH
from wgnode.protocol.crypto import XaeadSealer, hash_, mac, mac_equal, xaead_open
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.messages import CookieReply, sender_index

LABEL_MAC1 = b"mac1----"
LABEL_COOKIE = b"cookie--"
NO_MAC = bytes(MAC_LENGTH)
NONCE_LENGTH = 24


def mac1_key(public_key: bytes) -> bytes:
    """Keys mac1 of messages to this static public key."""
    return hash_(LABEL_MAC1, public_key)


def cookie_key(public_key: bytes) -> bytes:
    """Keys the cookie replies that this static public key's holder sends."""
    return hash_(LABEL_COOKIE, public_key)


class CookieChecker:
    """The receiver's half, for one of its identities: checks macs, makes cookies and cookie replies.

    A cookie is a MAC of the source address and port under a secret that changes every COOKIE_SECRET_MAX_AGE, so
    nothing is kept for each source.
    """

    def __init__(self, public_key: bytes, random: Callable[[int], bytes]) -> None:
        self._mac1_key = mac1_key(public_key)
        self._cookie_key = cookie_key(public_key)
        self._random = random
        self._secret = b""
        self._secret_since = float("-inf")
        self._sealer: XaeadSealer | None = None

    def check_mac1(self, message: bytes) -> bool:
        """Does the sender of this handshake message know our public key?"""
        return mac_equal(mac(self._mac1_key, message[: -2 * MAC_LENGTH]), message[-2 * MAC_LENGTH : -MAC_LENGTH])

    def check_mac2(self, message: bytes, source: bytes, now: float) -> bool:
        """Did the sender get our cookie at `source`? (address bytes and big-endian port)"""
        if message.endswith(NO_MAC) or not self._fresh(now):
            return False
        return mac_equal(mac(self._cookie(source, now), message[:-MAC_LENGTH]), message[-MAC_LENGTH:])

    def reply(self, message: bytes, source: bytes, now: float) -> bytes:
        """The cookie reply to this handshake message, bound to its mac1."""
        given_mac1 = message[-2 * MAC_LENGTH : -MAC_LENGTH]
        if self._sealer is None or not self._fresh(now):
            self._sealer = XaeadSealer(self._cookie_key, self._random(NONCE_LENGTH))
        nonce, sealed = self._sealer.seal(self._cookie(source, now), given_mac1)
        return CookieReply(sender_index(message), nonce, sealed).pack()

    def _fresh(self, now: float) -> bool:
        return 0 <= now - self._secret_since < COOKIE_SECRET_MAX_AGE

    def _cookie(self, source: bytes, now: float) -> bytes:
        if not self._fresh(now):
            self._secret = self._random(KEY_LENGTH)
            self._secret_since = now
        return mac(self._secret, source)


class CookieGenerator:
    """The sender's half, for one static key of a peer: puts macs on messages and remembers its cookie."""

    __slots__ = ("_cookie", "_cookie_key", "_last_mac1", "_mac1_key", "_received")

    def __init__(self, public_key: bytes) -> None:
        self._mac1_key = mac1_key(public_key)
        self._cookie_key = cookie_key(public_key)
        self._cookie = b""
        self._received = 0.0
        self._last_mac1 = b""

    def add_macs(self, body: bytes, now: float) -> bytes:
        """The whole message: mac1, and mac2 while there is a fresh cookie, zeros otherwise."""
        mac1 = mac(self._mac1_key, body)
        self._last_mac1 = mac1
        message = body + mac1
        age = now - self._received
        if self._cookie and 0 <= age < COOKIE_SECRET_MAX_AGE - COOKIE_SECRET_LATENCY:
            return message + mac(self._cookie, message)
        return message + NO_MAC

    def consume(self, reply: CookieReply, now: float) -> None:
        """Keep the cookie of a reply to our last message; each message takes one. Raises ProtocolError."""
        if not self._last_mac1:
            raise ProtocolError(Drop.BAD_COOKIE)
        try:
            self._cookie = xaead_open(self._cookie_key, reply.nonce, reply.cookie, self._last_mac1)
        except InvalidTag:
            raise ProtocolError(Drop.BAD_COOKIE) from None
        self._received = now
        self._last_mac1 = b""
