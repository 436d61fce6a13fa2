"""The WireGuard device without its sockets: bytes and the time go in, datagrams and packets come out.

`now` is seconds everywhere, of a clock that never steps back and counts sleep. After every call the shell drains
`datagrams_to_send` and `packets_to_deliver` and arms one timer for `next_deadline`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address, ip_network

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode.nodeconfig import LivePeer, live_digest
from wgnode.protocol import expiry, handshake, transport
from wgnode.protocol.allowed_ips import Network
from wgnode.protocol.constants import KEY_LENGTH, MAX_KEYS
from wgnode.protocol.cookie import CookieChecker
from wgnode.protocol.core import Core
from wgnode.protocol.crypto import clamp
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.inner import destination
from wgnode.protocol.messages import COOKIE_REPLY, INITIATION, RESPONSE, TRANSPORT, message_type
from wgnode.protocol.noise import NO_PSK, public_bytes
from wgnode.protocol.peer import Identity, Peer, RemoteStatic
from wgnode.protocol.plane import PlainPlane, Plane
from wgnode.protocol.ratelimit import HANDSHAKES_PER_SECOND, Budget, LoadMeter, RateLimiter, address_bytes
from wgnode.protocol.timers import NEVER, Timers
from wgnode.protocol.wipe import own, wipe


class Device:
    """Up to two identities (private keys: current, next) and any number of peers.

    `random(n)` gives n random bytes, `tai64n()` the 12-byte TAI64N label of the wall clock, `mtu` is bytes of inner
    packet. `under_load(now)`, asked once per handshake message, replaces the built-in load detection.
    `counters` counts what was dropped, by kind (see errors.Drop).
    """

    def __init__(
        self,
        private_keys: Sequence[bytes] = (),
        *,
        random: Callable[[int], bytes],
        tai64n: Callable[[], bytes],
        listen_port: int = 0,
        mtu: int = 1420,
        under_load: Callable[[float], bool] | None = None,
        plane: Plane | None = None,
    ) -> None:
        self.listen_port = listen_port
        self.fwmark = 0
        self.running = False
        self._core = Core(random, tai64n, mtu, plane or PlainPlane())
        self._core.plane.mtu_changed(mtu, self._core.route_mtus)
        self._peers: dict[Peer, None] = {}
        self._limiter = RateLimiter()
        self._handshakes = Budget(HANDSHAKES_PER_SECOND)
        self._under_load = under_load or LoadMeter()
        self._now = 0.0
        self.set_private_keys(private_keys, 0.0)

    def __repr__(self) -> str:
        return f"Device({len(self._peers)} peers, {'running' if self.running else 'stopped'})"

    @property
    def mtu(self) -> int:
        """Bytes of inner packet: padding never goes beyond."""
        return self._core.mtu

    @mtu.setter
    def mtu(self, mtu: int) -> None:
        self._core.mtu = mtu
        self._core.plane.mtu_changed(mtu, self._core.route_mtus)

    @property
    def route_mtus(self) -> tuple[int, ...]:
        """MTUs of routes to us, ascending: padding ends at the smallest that a packet fits in, its own or not."""
        return self._core.route_mtus

    @route_mtus.setter
    def route_mtus(self, mtus: tuple[int, ...]) -> None:
        self._core.route_mtus = mtus
        self._core.plane.mtu_changed(self._core.mtu, mtus)

    @property
    def counters(self) -> Counter[str]:
        """Dropped messages and packets by errors.Drop."""
        return self._core.counters

    # Configuration: raises ValueError on our caller's misuse, with nothing changed.

    @property
    def private_keys(self) -> tuple[bytes, ...]:
        """Clamped private keys, 32 bytes each: current, next. Empty: none set."""
        return tuple(own(identity.raw) for identity in self._core.identities)

    @property
    def public_keys(self) -> tuple[bytes, ...]:
        """The public halves, in the same order."""
        return tuple(identity.public_key for identity in self._core.identities)

    def set_private_keys(self, keys: Sequence[bytes], now: float) -> None:
        """None to two raw keys (clamped here). Sessions of identities that go away end; peers that are us go."""
        self._now = now
        clamped = [clamp(key) for key in keys]
        _check_keys("private key", clamped, at_least=0)
        first = self.public_keys[:1]
        known = {identity.raw: identity for identity in self._core.identities}
        self._core.identities = [known.get(key) or self._identity(own(key)) for key in clamped]
        wipe(*clamped)
        self._core.plane.identities_changed(self.public_keys)
        for public_key in self.public_keys:
            self.remove_peer(public_key)
        gone = {identity.public_key for identity in known.values()}.difference(self.public_keys)
        if gone:
            for peer in self._peers:
                self._drop_identities(peer, gone)
        wipe(*(identity.raw for identity in known.values() if identity.public_key in gone))
        if self.public_keys[:1] != first:
            for peer in self._peers:
                self._renew_under_first_keys(peer)

    @property
    def peers(self) -> list[Peer]:
        """In the order they were added."""
        return list(self._peers)

    def peer(self, public_key: bytes) -> Peer | None:
        """The peer that holds this static public key as its current or next one."""
        static = self._core.statics.get(public_key)
        return static.peer if static else None

    def add_peer(self, public_keys: Sequence[bytes], name: str = "") -> Peer:
        """Raises ValueError for our own key, a key another peer holds, or not one or two 32-byte keys."""
        self._check_public_keys(public_keys, None)
        peer = Peer(name, self._core.routes)
        peer.timers = Timers(peer, self._core.schedule, self._core.jitter)
        self._peers[peer] = None
        self._core.plane.peer_added(peer)
        self._assign_statics(peer, public_keys)
        return peer

    def remove_peer(self, public_key: bytes) -> None:
        """Forget the peer, its sessions and its allowed IPs. Unknown keys are ignored."""
        peer = self.peer(public_key)
        if peer is None:
            return
        self._core.forget(peer)
        self._core.routes.remove_owner(peer)
        for static in peer.statics:
            del self._core.statics[static.public_key]
            static.wipe()
        wipe(*peer.preshared_keys)
        del self._peers[peer]
        self._core.plane.peer_removed(peer)

    def set_public_keys(self, peer: Peer, keys: Sequence[bytes]) -> None:
        """Change a peer's static keys (rotation); sessions with keys that stay go on, renewed under a new first one."""
        self._check_public_keys(keys, peer)
        first = peer.public_key
        self._assign_statics(peer, keys)
        gone = [keypair for keypair in peer.slots.all() if keypair.remote not in peer.statics]
        self._core.end_sessions(peer, gone)
        if peer.outstanding and peer.outstanding.remote not in peer.statics:
            self._core.clear_handshake(peer)
        if peer.public_key != first:
            self._renew_under_first_keys(peer)

    def set_preshared_keys(self, peer: Peer, keys: Sequence[bytes]) -> None:
        """None to two 32-byte keys (all zeros: none); takes effect with the next handshake."""
        _check_keys("pre-shared key", keys, at_least=0)
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
        self._core.move(peer, endpoint)
        if was_unknown and peer.slots.current is None:
            self._keepalive_at_once(peer)

    def set_keepalive(self, peer: Peer, seconds: int, now: float) -> None:
        """0..65535 seconds, 0 for off; switching it on makes a keepalive due at once (see next_deadline)."""
        if not 0 <= seconds <= 0xFFFF:
            raise ValueError(f"persistent keepalive of {seconds} s is not 0..65535")
        self._now = now
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
        self._core.routes.insert(network, peer)

    def remove_allowed_ip(self, peer: Peer, network: str | Network) -> None:
        """Nothing happens unless this peer holds exactly this network."""
        self._core.routes.remove(network, peer)

    def replace_allowed_ips(self, peer: Peer, networks: Iterable[str | Network]) -> None:
        """Drop all of the peer's networks, then add these."""
        checked = [ip_network(network, strict=False) for network in networks]
        self._core.routes.remove_owner(peer)
        for network in checked:
            self._core.routes.insert(network, peer)

    def live_digest(self) -> str:
        """wgnode.nodeconfig.live_digest of the configuration as it is now."""
        peers = [
            LivePeer(
                peer.public_keys,
                peer.preshared_keys,
                tuple(str(network) for network in peer.allowed_ips),
                peer.persistent_keepalive,
            )
            for peer in self._peers
        ]
        return live_digest(self.public_keys, self.listen_port, peers)

    # Traffic: never raises for what comes from outside; it is counted in `counters` and dropped.

    def start(self, now: float) -> None:
        """Link up: persistent keepalives, hence handshakes, begin."""
        self._now = now
        self.running = True
        for peer in self._peers:
            self._keepalive_at_once(peer)
        self.handle_timer(now)

    def initiate_to_all(self, now: float) -> None:
        """A handshake with every peer that has an endpoint and no session: they may hold one that we have lost."""
        self._now = now
        for peer in self._peers:
            if self.running and peer.slots.current is None:
                handshake.want_handshake(self._core, peer, now)

    def keepalive_to_all(self, now: float) -> None:
        """To every peer with a session, so that it learns from where we send now."""
        self._now = now
        for peer in self._peers:
            if peer.slots.current is not None:
                transport.send_keepalive(self._core, peer, now)

    def stop(self, now: float) -> None:
        """Link down: sessions and staged packets are forgotten, nothing is sent or accepted."""
        self._now = now
        self.running = False
        for peer in self._peers:
            self._core.forget(peer)

    def receive_datagram(self, data: bytes, source: Endpoint, now: float) -> None:
        """One UDP payload from `source`."""
        self._now = now
        try:
            if not self.running:
                raise ProtocolError(Drop.DOWN)
            kind = message_type(data)
            if kind == TRANSPORT:
                transport.receive(self._core, data, source, now)
            elif kind in (INITIATION, RESPONSE):
                self._receive_handshake(kind, data, source, now)
            elif kind == COOKIE_REPLY:
                handshake.receive_cookie_reply(self._core, data, now)
            else:
                raise ProtocolError(Drop.MALFORMED)
        except ProtocolError as error:
            self._core.counters[error.drop] += 1

    def send_packet(self, packet: bytes, now: float) -> None:
        """One inner IP packet for whichever peer it is routed to."""
        self._now = now
        try:
            if not self.running or not self._core.identities:
                raise ProtocolError(Drop.DOWN)
            peer = self._core.routes.lookup(destination(packet))
            if peer is None:
                raise ProtocolError(Drop.NO_PEER)
            transport.send(self._core, peer, packet, now)
        except ProtocolError as error:
            self._core.counters[error.drop] += 1

    def handle_timer(self, now: float) -> None:
        """Do all that is due by `now`; harmless when nothing is."""
        self._now = now
        for timers in self._core.schedule.due(now):
            expiry.expire(self._core, timers.peer, now)

    def datagrams_to_send(self) -> list[tuple[bytes, Endpoint]]:
        """UDP payloads in order, handed over once."""
        out, self._core.outbox = self._core.outbox, []
        return out

    def packets_to_deliver(self) -> list[bytes]:
        """Checked inner IP packets in order, handed over once."""
        out, self._core.inbox = self._core.inbox, []
        return out

    def next_deadline(self) -> float | None:
        """When to call `handle_timer` at the latest (may be in the past: at once), None for never."""
        return self._core.schedule.next_deadline()

    def _receive_handshake(self, kind: int, data: bytes, source: Endpoint, now: float) -> None:
        """An initiation or response: mac1, then under load mac2 and the rate, and only then any DH."""
        identity = next((i for i in self._core.identities if i.cookies.check_mac1(data)), None)
        if identity is None:
            raise ProtocolError(Drop.BAD_MAC1)
        if self._under_load(now):
            self._defend(identity, data, source, now)
        if kind == INITIATION:
            handshake.receive_initiation(self._core, identity, data, source, now)
        else:
            peer = handshake.receive_response(self._core, data, source, now)
            transport.send_keepalive(self._core, peer, now)

    def _defend(self, identity: Identity, data: bytes, source: Endpoint, now: float) -> None:
        """Only who proves its address by a cookie, and not too often, may cost us a DH. Raises ProtocolError.

        DHs are limited in all too, so that sessions keep their share of the core whoever comes with a cookie.
        """
        address = address_bytes(source.address)
        cookie_source = address + source.port.to_bytes(2, "big")
        if not identity.cookies.check_mac2(data, cookie_source, now):
            self._core.outbox.append((identity.cookies.reply(data, cookie_source, now), source))
            raise ProtocolError(Drop.COOKIE_SENT)
        if not self._limiter.allow(address, now):
            raise ProtocolError(Drop.RATE_LIMITED)
        if not self._handshakes.spend(now):
            raise ProtocolError(Drop.OVERLOAD)

    def _identity(self, raw: bytes) -> Identity:
        private_key = X25519PrivateKey.from_private_bytes(raw)
        public_key = public_bytes(private_key)
        return Identity(raw, private_key, public_key, CookieChecker(public_key, self._core.random))

    def _drop_identities(self, peer: Peer, gone: set[bytes]) -> None:
        """Sessions and handshakes under private keys that are no longer ours end; a keepalive starts new ones."""
        for static in peer.statics:
            for public_key in gone:
                static.forget_identity(public_key)
        if peer.outstanding and peer.outstanding.identity.public_key in gone:
            self._core.clear_handshake(peer)
            peer.last_sent_handshake = float("-inf")
        doomed = [keypair for keypair in peer.slots.all() if keypair.identity_key in gone]
        self._core.end_sessions(peer, doomed)
        if doomed:
            self._keepalive_at_once(peer)

    def _renew_under_first_keys(self, peer: Peer) -> None:
        """Rotation's phase "use": a session under the old key gets a successor, so that no one misses it when dropped.

        Not all peers in the same instant: spread over the jitter of retries.
        """
        current = peer.slots.current
        if current and (current.identity_key != self.public_keys[0] or current.remote is not peer.statics[0]):
            peer.timers.attempts = 0
            peer.timers.arm_retransmit(self._now + self._core.jitter())

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
            del self._core.statics[key]
        peer.statics = [held.get(key) or RemoteStatic(peer, bytes(key)) for key in keys]
        for static in peer.statics:
            self._core.statics[static.public_key] = static
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
