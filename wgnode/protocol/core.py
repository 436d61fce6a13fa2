"""What all parts of a device share: identities, tables, queues, counters, randomness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode.protocol.constants import KEY_LENGTH, MAX_STAGED_PACKETS, REKEY_TIMEOUT_JITTER_MAX
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.errors import Drop
from wgnode.protocol.peer import LONG_AGO, Identity, Outstanding, Peer, RemoteStatic
from wgnode.protocol.plane import Plane
from wgnode.protocol.session import Keypair
from wgnode.protocol.timers import Schedule


class Core:
    """Owned by one Device; the functions of `handshake` and `transport` work on it."""

    def __init__(self, random: Callable[[int], bytes], tai64n: Callable[[], bytes], mtu: int, plane: Plane) -> None:
        self.random = random
        self.tai64n = tai64n
        self.mtu = mtu
        self.plane = plane
        self.route_mtus: tuple[int, ...] = ()
        self.identities: list[Identity] = []
        self.statics: dict[bytes, RemoteStatic] = {}
        self.indices: dict[int, Keypair | Outstanding] = {}
        self.routes = plane.routes
        self.schedule = Schedule()
        self.counters: Counter[str] = Counter()
        self.outbox: list[tuple[bytes, Endpoint]] = []
        self.inbox: list[bytes] = []

    def jitter(self) -> float:
        """Uniform in 0 .. REKEY_TIMEOUT_JITTER_MAX seconds."""
        return int.from_bytes(self.random(4), "big") / 2**32 * REKEY_TIMEOUT_JITTER_MAX

    def new_ephemeral(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(self.random(KEY_LENGTH))

    def new_index(self) -> int:
        """A random 32-bit index that nothing else uses."""
        while True:
            index = int.from_bytes(self.random(4), "little")
            if index not in self.indices:
                return index

    def add_session(self, keypair: Keypair) -> None:
        """From now on its index leads to it."""
        self.indices[keypair.local_index] = keypair
        self.plane.session_added(keypair)

    def free(self, gone: list[Keypair]) -> None:
        """Sessions that ended: their indices lead nowhere now."""
        for keypair in gone:
            self.indices.pop(keypair.local_index, None)
            self.plane.session_removed(keypair)

    def move(self, peer: Peer, endpoint: Endpoint | None) -> None:
        """Where the peer is reached from now on."""
        if peer.endpoint != endpoint:
            peer.endpoint = endpoint
            self.plane.peer_changed(peer)

    def transmit(self, peer: Peer, datagram: bytes) -> None:
        """Queue an authenticated message to a peer whose endpoint is known."""
        assert peer.endpoint is not None
        peer.tx_bytes += len(datagram)
        self.outbox.append((datagram, peer.endpoint))

    def stage(self, peer: Peer, packet: bytes) -> None:
        """Keep a packet (empty: a keepalive) until there is a session; the oldest goes first when full."""
        if len(peer.staged) >= MAX_STAGED_PACKETS:
            peer.staged.pop(0)
            self.counters[Drop.STAGED] += 1
        peer.staged.append(packet)

    def drop_staged(self, peer: Peer) -> None:
        """Nobody will take them."""
        lost = sum(1 for packet in peer.staged if packet)
        if lost:
            self.counters[Drop.STAGED] += lost
        peer.staged.clear()

    def clear_handshake(self, peer: Peer) -> None:
        """Forget our outstanding initiation."""
        if peer.outstanding:
            self.indices.pop(peer.outstanding.local_index, None)
            peer.outstanding.state.symmetric.wipe()
            peer.outstanding = None

    def end_sessions(self, peer: Peer, doomed: list[Keypair]) -> None:
        """Erase these keypairs; a new handshake may start at once."""
        peer.slots.remove(doomed)
        self.plane.peer_changed(peer)
        self.free(doomed)
        if doomed:
            peer.last_sent_handshake = LONG_AGO

    def forget(self, peer: Peer) -> None:
        """All state of talking to the peer: it was removed, or the device stopped."""
        self.end_sessions(peer, peer.slots.all())
        self.clear_handshake(peer)
        self.drop_staged(peer)
        peer.timers.reset()
        peer.last_sent_handshake = LONG_AGO
