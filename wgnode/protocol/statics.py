"""Static keys: the device's own, and those of peers with what is remembered for each of them."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode.protocol.constants import TIMESTAMP_LENGTH
from wgnode.protocol.cookie import CookieChecker, CookieGenerator
from wgnode.protocol.crypto import dh
from wgnode.protocol.wipe import wipe

LONG_AGO = float("-inf")


@dataclass(frozen=True, repr=False)
class Identity:
    """One of the device's own static keys. `raw` is the clamped private key."""

    raw: bytes
    private_key: X25519PrivateKey
    public_key: bytes
    cookies: CookieChecker


class RemoteStatic:
    """One of the static keys of the peer with this number."""

    __slots__ = ("_shared", "cookies", "last_initiation", "latest_timestamp", "peer", "public_key")

    def __init__(self, peer: int, public_key: bytes) -> None:
        self.peer = peer
        self.public_key = public_key
        self.cookies = CookieGenerator(public_key)
        self.latest_timestamp = bytes(TIMESTAMP_LENGTH)
        self.last_initiation = LONG_AGO
        self._shared: dict[bytes, bytes] = {}

    def shared_with(self, identity: Identity) -> bytes:
        """The DH of both static keys, computed once. Raises ProtocolError if this key is a low-order point."""
        shared = self._shared.get(identity.public_key)
        if shared is None:
            shared = self._shared[identity.public_key] = dh(identity.private_key, self.public_key)
        return shared

    def forget_identity(self, public_key: bytes) -> None:
        """That private key is gone: so is what was computed from it."""
        wipe(self._shared.pop(public_key, b""))

    def wipe(self) -> None:
        """The peer does not have this key any more."""
        wipe(*self._shared.values())
        self._shared.clear()
