"""A peer: who it is, where it is, what it may send, and the state of talking to it."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode.protocol.allowed_ips import Network
from wgnode.protocol.constants import TIMESTAMP_LENGTH
from wgnode.protocol.cookie import CookieChecker, CookieGenerator
from wgnode.protocol.crypto import dh
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.noise import InitiatorState
from wgnode.protocol.session import Keypair, KeypairSlots
from wgnode.protocol.timers import Timers
from wgnode.protocol.wipe import wipe

if TYPE_CHECKING:
    from wgnode.protocol.plane import Routes

LONG_AGO = float("-inf")


@dataclass(frozen=True, repr=False)
class Identity:
    """One of the device's own static keys. `raw` is the clamped private key."""

    raw: bytes
    private_key: X25519PrivateKey
    public_key: bytes
    cookies: CookieChecker


class RemoteStatic:
    """One of a peer's static keys and what is remembered for each of them."""

    __slots__ = ("_shared", "cookies", "last_initiation", "latest_timestamp", "peer", "public_key")

    def __init__(self, peer: Peer, public_key: bytes) -> None:
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


@dataclass(repr=False)
class Outstanding:
    """Our initiation that waits for its response."""

    remote: RemoteStatic
    identity: Identity
    local_index: int
    state: InitiatorState


class Peer:
    """Read its attributes; change it through the Device, which keeps tables and timers in step.

    `public_keys` and `preshared_keys` hold up to two each (current, next). `persistent_keepalive` is in seconds,
    0 for off. `last_handshake` is the time (seconds, the clock of `now`) of the last completed handshake,
    None before the first. `rx_bytes` and `tx_bytes` count whole UDP payloads of authenticated messages.
    The attributes after those are the core's own.
    """

    timers: Timers

    def __init__(self, name: str, routes: Routes) -> None:
        self.name = name
        self.preshared_keys: tuple[bytes, ...] = ()
        self.endpoint: Endpoint | None = None
        self.last_handshake: float | None = None
        self.rx_bytes = 0
        self.tx_bytes = 0

        self.statics: list[RemoteStatic] = []
        self.slots = KeypairSlots()
        self.outstanding: Outstanding | None = None
        self.last_sent_handshake = LONG_AGO
        self.staged: list[bytes] = []  # short; an empty deque would be most of a peer's memory
        self._routes = routes

    def __repr__(self) -> str:
        return f"Peer({self.name or b64encode(self.public_key).decode()!r})"

    @property
    def public_keys(self) -> tuple[bytes, ...]:
        """Its static public keys: current, next."""
        return tuple(static.public_key for static in self.statics)

    @property
    def public_key(self) -> bytes:
        """The static public key in use: the first."""
        return self.statics[0].public_key

    @property
    def persistent_keepalive(self) -> int:
        """Seconds, 0 for off."""
        return self.timers.persistent_keepalive

    @property
    def allowed_ips(self) -> list[Network]:
        """Its networks, in the order they were added."""
        return self._routes.networks(self)

    @property
    def session(self) -> Keypair | None:
        """The keypair that sends, if any."""
        return self.slots.current
