"""What a device is configured with: identities, peers, their keys, endpoints and networks, all changeable as it runs.

Raises ValueError on our caller's misuse, with nothing changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode.protocol.access import Access
from wgnode.protocol.allowed_ips import Network
from wgnode.protocol.constants import KEY_LENGTH, MAX_KEYS
from wgnode.protocol.cookie import CookieChecker
from wgnode.protocol.crypto import clamp
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.noise import NO_PSK, public_bytes
from wgnode.protocol.peer import Peer
from wgnode.protocol.plane import Limit
from wgnode.protocol.schedule import NEVER
from wgnode.protocol.statics import LONG_AGO, Identity, RemoteStatic
from wgnode.protocol.tables import Tables
from wgnode.protocol.timers import Timers
from wgnode.protocol.wipe import own, wipe


class Configured:
    """The part of a Device (see there) that is configured."""

    def __init__(self, tables: Tables, private_keys: Sequence[bytes], listen_port: int) -> None:
        self.listen_port = listen_port
        self.fwmark = 0
        self.running = False
        self._tables = tables
        self.access = Access(tables)
        self._now = 0.0
        self._added = 0
        self._networks_moved = 0
        self._networks_texts: dict[int, tuple[tuple[int, int], str]] = {}
        self._tell_mtus()
        self.set_private_keys(private_keys, 0.0)

    @property
    def mtu(self) -> int:
        """Bytes of inner packet: padding never goes beyond."""
        return self._tables.mtu

    @mtu.setter
    def mtu(self, mtu: int) -> None:
        self._tables.mtu = mtu
        self._tell_mtus()

    @property
    def route_mtus(self) -> tuple[int, ...]:
        """MTUs of routes to us, ascending: padding ends at the smallest that a packet fits in, its own or not."""
        return self._tables.route_mtus

    @route_mtus.setter
    def route_mtus(self, mtus: tuple[int, ...]) -> None:
        self._tables.route_mtus = mtus
        self._tell_mtus()

    @property
    def private_keys(self) -> tuple[bytes, ...]:
        """Clamped private keys, 32 bytes each: current, next. Empty: none set."""
        return tuple(own(identity.raw) for identity in self._tables.identities)

    @property
    def public_keys(self) -> tuple[bytes, ...]:
        """The public halves, in the same order."""
        return tuple(identity.public_key for identity in self._tables.identities)

    def set_private_keys(self, keys: Sequence[bytes], now: float) -> None:
        """None to two raw keys (clamped here). Sessions of identities that go away end; peers that are us go."""
        self._now = now
        clamped = [clamp(key) for key in keys]
        _check_keys("private key", clamped, at_least=0)
        first = self.public_keys[:1]
        known = {identity.raw: identity for identity in self._tables.identities}
        self._tables.identities = [known.get(key) or self._identity(own(key)) for key in clamped]
        wipe(*clamped)
        self._tables.plane.set_identities(self.public_keys)
        for public_key in self.public_keys:
            self.remove_peer(public_key)
        gone = {identity.public_key for identity in known.values()}.difference(self.public_keys)
        if gone:
            for peer in self.peers:
                self._drop_identities(peer, gone)
        wipe(*(identity.raw for identity in known.values() if identity.public_key in gone))
        if self.public_keys[:1] != first:
            for peer in self.peers:
                self._renew_under_first_keys(peer)

    @property
    def peers(self) -> list[Peer]:
        """In the order they were added."""
        return list(self._tables.peers.values())

    def peer(self, public_key: bytes) -> Peer | None:
        """The peer that holds this static public key as its current or next one."""
        static = self._tables.statics.get(public_key)
        return self._tables.peers[static.peer] if static else None

    def peer_numbered(self, number: int) -> Peer:
        """By the plane's number. Raises KeyError."""
        return self._tables.peers[number]

    def add_peer(self, public_keys: Sequence[bytes], name: str = "") -> Peer:
        """Raises ValueError for our own key, a key another peer holds, or not one or two 32-byte keys."""
        self._check_public_keys(public_keys, None)
        self._added += 1
        peer = Peer(name, self._tables.plane, self._added)
        peer.timers = Timers(peer.number, self._tables.schedule, self._tables.jitter)
        self._tables.peers[peer.number] = peer
        self._assign_statics(peer, public_keys)
        self.access.classify(peer)
        return peer

    def remove_peer(self, public_key: bytes) -> None:
        """Forget the peer, its sessions and its allowed IPs. Unknown keys are ignored."""
        peer = self.peer(public_key)
        if peer is None:
            return
        self._tables.forget(peer)
        for static in peer.statics:
            del self._tables.statics[static.public_key]
            static.wipe()
        wipe(*peer.preshared_keys)
        del self._tables.peers[peer.number]
        self._networks_texts.pop(peer.number, None)
        self._tables.plane.remove_peer(peer.number)
        self.access.forget(peer)
        self._tables.events.removed(peer.number)

    def set_public_keys(self, peer: Peer, keys: Sequence[bytes]) -> None:
        """Change a peer's static keys (rotation); sessions with keys that stay go on, renewed under a new first one."""
        self._check_public_keys(keys, peer)
        first = peer.public_key
        peer.changes += 1
        self._assign_statics(peer, keys)
        self.access.classify(peer)
        self._tables.events.rekeyed(peer.number)
        gone = [keypair for keypair in peer.slots.all() if keypair.remote not in peer.statics]
        self._tables.end_sessions(peer, gone)
        if peer.outstanding and peer.outstanding.remote not in peer.statics:
            self._tables.clear_handshake(peer)
        if peer.public_key != first:
            self._renew_under_first_keys(peer)

    def set_preshared_keys(self, peer: Peer, keys: Sequence[bytes]) -> None:
        """None to two 32-byte keys (all zeros: none); takes effect with the next handshake."""
        _check_keys("pre-shared key", keys, at_least=0)
        peer.changes += 1
        before = peer.preshared_keys
        peer.preshared_keys = tuple(own(key) for key in keys if key != NO_PSK)
        wipe(*before)

    def set_endpoint(self, peer: Peer, endpoint: Endpoint | None) -> None:
        """Where to reach the peer until it roams."""
        if endpoint is not None:
            ip_address(endpoint.address.partition("%")[0])
            if not 0 <= endpoint.port <= 0xFFFF:
                raise ValueError(f"endpoint port {endpoint.port} is not 0..65535")
        was_unknown = peer.endpoint is None
        self._tables.move(peer, endpoint)
        if was_unknown and peer.slots.current is None:
            self._keepalive_at_once(peer)

    def set_closed(self, peer: Peer, closed: bool) -> None:
        """Its sessions and flows end at once and none begins, until it is opened again; its configuration stays."""
        if closed and not peer.closed:
            self._tables.forget(peer)
            self._tables.plane.end_flows(peer.number)
        peer.closed = closed

    def set_limit(self, peer: Peer, limit: Limit | None) -> None:
        """How large packets to the peer may be."""
        self._tables.plane.set_limit(peer.number, limit)

    def set_echo(self, peer: Peer, addresses: tuple[bytes, bytes] | None) -> None:
        """Whose echo replies may be a probe's: see plane.Plane."""
        self._tables.plane.set_echo(peer.number, addresses)

    def set_probe(self, peer: Peer, address: bytes | None) -> None:
        """The peer's tunnel address (4 or 16 bytes) that answers echoes; None: its only host address, if it has one."""
        if address is not None and len(address) not in (4, 16):
            raise ValueError(f"a probe address of {len(address)} bytes instead of 4 or 16")
        if peer.probe != address:
            peer.probe = address
            self._tables.events.routed(peer.number)

    def set_keepalive(self, peer: Peer, seconds: int, now: float) -> None:
        """0..65535 seconds, 0 for off; switching it on makes a keepalive due at once (see next_deadline)."""
        if not 0 <= seconds <= 0xFFFF:
            raise ValueError(f"persistent keepalive of {seconds} s is not 0..65535")
        self._now = now
        peer.changes += 1
        timers = peer.timers
        before, timers.persistent_keepalive = timers.persistent_keepalive, seconds
        if not seconds:
            timers.persistent_at = NEVER
        elif not before:
            self._keepalive_at_once(peer)
        elif before != seconds and self.running:
            timers.arm_persistent(now + seconds)

    def add_allowed_ip(self, peer: Peer, network: str | Network) -> None:
        """Host bits are masked; a network that another peer holds moves here."""
        self._insert(ip_network(network, strict=False), peer)

    def remove_allowed_ip(self, peer: Peer, network: str | Network) -> None:
        """Nothing happens unless this peer holds exactly this network."""
        peer.changes += 1
        self._tables.plane.remove_network(network, peer.number)
        self._tables.events.routed(peer.number)

    def replace_allowed_ips(self, peer: Peer, networks: Iterable[str | Network]) -> None:
        """Drop all of the peer's networks, then add these."""
        checked = [ip_network(network, strict=False) for network in networks]
        self._tables.plane.remove_networks(peer.number)
        self._tables.events.routed(peer.number)
        peer.changes += 1
        for network in checked:
            self._insert(network, peer)

    def revision(self, peer: Peer) -> tuple[int, int]:
        """Another one after each change of how the peer is configured (keys, keepalive, networks); for caches."""
        return peer.changes, self._networks_moved

    def networks_text(self, peer: Peer) -> str:
        """Its networks with commas between them, in order; made anew only after a change."""
        revision, known = self.revision(peer), self._networks_texts.get(peer.number)
        if known is None or known[0] != revision:
            known = self._networks_texts[peer.number] = revision, ",".join(map(str, peer.allowed_ips))
        return known[1]

    def _insert(self, network: Network, peer: Peer) -> None:
        """If somebody holds it, or a part of it at its beginning, it may be taken from whomever."""
        peer.changes += 1
        if self._tables.plane.sent_to(network.network_address.packed) is not None:
            self._networks_moved += 1
        self._tables.plane.add_network(network, peer.number)
        self._tables.events.routed(peer.number)

    def _tell_mtus(self) -> None:
        self._tables.plane.set_mtus(self._tables.mtu, self._tables.route_mtus)

    def _identity(self, raw: bytes) -> Identity:
        private_key = X25519PrivateKey.from_private_bytes(raw)
        public_key = public_bytes(private_key)
        return Identity(raw, private_key, public_key, CookieChecker(public_key, self._tables.random))

    def _drop_identities(self, peer: Peer, gone: set[bytes]) -> None:
        """Sessions and handshakes under private keys that are no longer ours end; a keepalive starts new ones."""
        for static in peer.statics:
            for public_key in gone:
                static.forget_identity(public_key)
        if peer.outstanding and peer.outstanding.identity.public_key in gone:
            self._tables.clear_handshake(peer)
            peer.last_sent_handshake = LONG_AGO
        doomed = [keypair for keypair in peer.slots.all() if keypair.identity_key in gone]
        self._tables.end_sessions(peer, doomed)
        if doomed:
            self._keepalive_at_once(peer)

    def _renew_under_first_keys(self, peer: Peer) -> None:
        """Rotation's phase "use": a session under the old key gets a successor, so that no one misses it when dropped.

        Not all peers in the same instant: spread over the jitter of retries.
        """
        current = peer.slots.current
        if current and (current.identity_key != self.public_keys[0] or current.remote is not peer.statics[0]):
            peer.timers.attempts = 0
            peer.timers.arm_retransmit(self._now + self._tables.jitter())

    def _check_public_keys(self, keys: Sequence[bytes], holder: Peer | None) -> None:
        _check_keys("public key", keys, at_least=1)
        for key in keys:
            if key in self.public_keys:
                raise ValueError("a peer cannot have this device's own public key")
            if self.peer(key) not in (None, holder):
                raise ValueError("another peer has this public key")

    def _assign_statics(self, peer: Peer, keys: Sequence[bytes]) -> None:
        held = {static.public_key: static for static in peer.statics}
        for key in held:
            del self._tables.statics[key]
        peer.statics = [held.get(key) or RemoteStatic(peer.number, bytes(key)) for key in keys]
        for static in peer.statics:
            self._tables.statics[static.public_key] = static
        for key in held.keys() - set(peer.public_keys):
            held[key].wipe()

    def _keepalive_at_once(self, peer: Peer) -> None:
        """Its persistent keepalive, if it has one, is due now; sent by the next `handle_timer`."""
        if self.running and peer.timers.persistent_keepalive:
            peer.timers.arm_persistent(self._now)


def _check_keys(what: str, keys: Sequence[bytes], at_least: int) -> None:
    """Never quotes a key."""
    if not at_least <= len(keys) <= MAX_KEYS:
        raise ValueError(f"{len(keys)} {what}s instead of {at_least} to {MAX_KEYS}")
    if any(len(key) != KEY_LENGTH for key in keys):
        raise ValueError(f"a {what} does not have {KEY_LENGTH} bytes")
    if len(set(keys)) != len(keys):
        raise ValueError(f"the same {what} twice")
