"""What all parts of a device share: identities, tables, queues, counters, randomness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode.protocol.constants import KEY_LENGTH, MAX_STAGED_PACKETS, REKEY_TIMEOUT_JITTER_MAX
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.errors import Drop
from wgnode.protocol.events import PeerEvents, Unheard
from wgnode.protocol.padding import pad
from wgnode.protocol.peer import Outstanding, Peer
from wgnode.protocol.plane import Plane
from wgnode.protocol.schedule import Schedule
from wgnode.protocol.session import Keypair
from wgnode.protocol.statics import LONG_AGO, Identity, RemoteStatic
from wgnode.protocol.timers import Timers


class Tables:
    """Owned by one Device; the functions of `handshake` and `traffic` work on it."""

    def __init__(self, random: Callable[[int], bytes], tai64n: Callable[[], bytes], mtu: int, plane: Plane) -> None:
        self.random = random
        self.tai64n = tai64n
        self.mtu = mtu
        self.plane = plane
        self.events: PeerEvents = Unheard()
        self.route_mtus: tuple[int, ...] = ()
        self.identities: list[Identity] = []
        self.statics: dict[bytes, RemoteStatic] = {}
        self.peers: dict[int, Peer] = {}
        self.indices: dict[int, Keypair | Outstanding] = {}
        self.schedule: Schedule[Timers] = Schedule()
        self.counters: Counter[str] = Counter()

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

    def add_session(
        self,
        remote: RemoteStatic,
        identity: Identity,
        indices: tuple[int, int],
        keys: tuple[bytes, bytes],
        now: float,
        *,
        is_initiator: bool,
    ) -> Keypair:
        """`indices` are local and remote, `keys` those to send and to receive with; from now on the index leads to it.

        What an initiator gets is confirmed: the response was.
        """
        held = self.plane.add_session(remote.peer, indices, keys, now, confirmed=is_initiator)
        keypair = Keypair(remote, identity.public_key, indices, held, now, is_initiator=is_initiator)
        self.indices[keypair.local_index] = keypair
        return keypair

    def sessions_changed(self, peer: Peer) -> None:
        """Which of its sessions sends; those it has retired need no confirming any more."""
        for retired in peer.slots.previous:
            self.plane.confirm_session(retired.local_index)
        current = peer.slots.current
        self.plane.set_current(peer.number, None if current is None else current.keys)
        self.events.session(peer.number, current is not None)

    def free(self, gone: list[Keypair]) -> None:
        """Sessions that ended: their indices lead nowhere now."""
        for keypair in gone:
            self.indices.pop(keypair.local_index, None)
            self.plane.remove_session(keypair.local_index)

    def move(self, peer: Peer, endpoint: Endpoint | None) -> None:
        """Where the peer is reached from now on."""
        if peer.endpoint != endpoint:
            peer.endpoint = endpoint
            self.plane.set_endpoint(peer.number, endpoint)
            self.events.moved(peer.number)

    def transmit(self, peer: Peer, datagram: bytes) -> None:
        """Queue an authenticated message to a peer whose endpoint is known."""
        assert peer.endpoint is not None
        peer.tx_bytes += len(datagram)
        self.plane.transmit(peer.number, datagram, peer.endpoint)

    def seal(self, peer: Peer, keypair: Keypair, packet: bytes) -> None:
        """Queue an inner packet, or a keepalive (empty). Ask `keypair.may_send` before."""
        self.transmit(peer, keypair.keys.seal(pad(packet, self.mtu, self.plane.bounds(peer.number))))
        peer.tx_packets += 1 if packet else 0

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
        self.sessions_changed(peer)
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
