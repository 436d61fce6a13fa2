"""A peer: who it is, where it is, what it may send, and the state of talking to it."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from wgnode.protocol.allowed_ips import Network
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.noise import InitiatorState
from wgnode.protocol.plane import Plane
from wgnode.protocol.session import Keypair, KeypairSlots
from wgnode.protocol.statics import LONG_AGO, Identity, RemoteStatic
from wgnode.protocol.timers import Timers


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
    None before the first. `probe` is the tunnel address (4 or 16 bytes) that answers echoes, where it is configured.
    `rx_bytes` and `tx_bytes` count whole UDP payloads of authenticated messages, `rx_packets` and `tx_packets` those of
    them that carry packets, `sessions` completed handshakes. `serial` tells it from others that its device has had.
    The attributes after those are the protocol's own; the plane knows the peer by its `number`. For `changes` see
    Configured.revision. One that is `closed` stays configured, and nothing goes to it or comes from it.
    """

    timers: Timers

    def __init__(self, name: str, plane: Plane, serial: int = 0) -> None:
        self.name, self.serial = name, serial
        self.number = plane.add_peer()
        self.changes = 0
        self.preshared_keys: tuple[bytes, ...] = ()
        self.endpoint: Endpoint | None = None
        self.last_handshake: float | None = None
        self.probe: bytes | None = None
        self.closed = False
        self.rx_bytes = 0
        self.tx_bytes = 0
        self.rx_packets = self.tx_packets = self.sessions = 0

        self.statics: list[RemoteStatic] = []
        self.slots = KeypairSlots()
        self.outstanding: Outstanding | None = None
        self.last_sent_handshake = LONG_AGO
        self.staged: list[bytes] = []  # short; an empty deque would be most of a peer's memory
        self._plane = plane

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
        return self._plane.networks(self.number)

    @property
    def session(self) -> Keypair | None:
        """The keypair that sends, if any."""
        return self.slots.current
