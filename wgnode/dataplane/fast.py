"""The compiled data plane's side of the device: what the engine (fastpath/) knows, and what it hands over.

The engine handles what goes through established sessions. What it does not handle comes here and takes the way of plain
Python, with the same keys, counters and replay windows: a session's are in one place, the engine's `Session`.
"""

from __future__ import annotations

import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from ipaddress import ip_network

from wgnode_fastpath import Engine, Place, Session, Suite

from wgnode.protocol import transport
from wgnode.protocol.allowed_ips import Network
from wgnode.protocol.constants import REJECT_AFTER_MESSAGES, REJECT_AFTER_TIME
from wgnode.protocol.cookie import mac1_key
from wgnode.protocol.device import Device
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.peer import Peer, RemoteStatic
from wgnode.protocol.plane import Activity
from wgnode.protocol.session import Keypair
from wgnode.protocol.wipe import wipe

NO_VNET_HEADER = bytes(10)
Resolve = Callable[[Endpoint], "tuple[Endpoint, bool] | None"]


class CompiledKeypair(Keypair):
    """A session whose keys, counter and window are the engine's."""

    __slots__ = ("session",)

    def __init__(
        self,
        suite: Suite,
        remote: RemoteStatic,
        identity_key: bytes,
        indices: tuple[int, int],
        keys: tuple[bytes, bytes],
        now: float,
        *,
        is_initiator: bool,
    ) -> None:
        """`indices` are local and remote, `keys` those to send and to receive with, which are wiped."""
        self.remote = remote
        self.identity_key = identity_key
        self.local_index, self.remote_index = indices
        self.created = now
        self.is_initiator = is_initiator
        self.session = Session(indices, keys, now, suite)
        wipe(*keys)

    @property
    def send_counter(self) -> int:
        return self.session.send_counter

    @send_counter.setter
    def send_counter(self, counter: int) -> None:
        self.session.send_counter = counter

    def seal(self, padded: bytes) -> bytes:
        return self.session.seal(padded)

    def open(self, message: bytes, counter: int, now: float) -> bytes:
        if now - self.created >= REJECT_AFTER_TIME or counter >= REJECT_AFTER_MESSAGES:
            raise ProtocolError(Drop.EXPIRED)
        padded = self.session.open(message)
        if padded is None:
            raise ProtocolError(Drop.REPLAYED)
        if isinstance(padded, bool):
            raise ProtocolError(Drop.BAD_TRANSPORT)
        return padded


class CompiledRoutes:
    """Networks and their owners in the engine alone: see allowed_ips.AllowedIPs for what the methods do."""

    def __init__(self, engine: Engine, numbers: dict[Peer, int], peers: dict[int, Peer]) -> None:
        self._engine, self._numbers, self._peers = engine, numbers, peers

    def insert(self, network: str | Network, owner: Peer) -> None:
        net = ip_network(network, strict=False)
        self._engine.add_route(net.network_address.packed, net.prefixlen, self._numbers[owner])

    def remove(self, network: str | Network, owner: Peer) -> None:
        net = ip_network(network, strict=False)
        self._engine.remove_route(net.network_address.packed, net.prefixlen, self._numbers[owner])

    def remove_owner(self, owner: Peer) -> None:
        self._engine.remove_routes(self._numbers[owner])

    def networks(self, owner: Peer) -> list[Network]:
        return [ip_network((each.address, each.length)) for each in self._engine.routes(self._numbers[owner])]

    def __len__(self) -> int:
        """Networks of both families."""
        return self._engine.route_count()

    def lookup(self, address: bytes) -> Peer | None:
        number = self._engine.lookup(address)
        return None if number is None else self._peers[number]


class FastPlane:
    """Keeps the engine in step with the device. `sync` before the engine works is enough: all run in one thread.

    `resolve(endpoint)` says where to send what is for it: an endpoint whose `source` is still good, and whether another
    tunnel carries it; None where packets have to take the way of plain Python.
    """

    def __init__(self, suite: Suite) -> None:
        self.engine = Engine()
        self.keypair = partial(CompiledKeypair, suite)
        self.numbers: dict[Peer, int] = {}
        self.peers: dict[int, Peer] = {}
        self.routes = CompiledRoutes(self.engine, self.numbers, self.peers)
        self.resolve: Resolve = lambda endpoint: (endpoint, False)
        self._changed: dict[Peer, None] = {}
        self.mtu = 0
        self.busy: list[Peer] = []
        """Those that the last report was about."""

    def peer_added(self, peer: Peer) -> None:
        number = self.numbers[peer] = self.engine.add_peer()
        self.peers[number] = peer

    def peer_removed(self, peer: Peer) -> None:
        number = self.numbers.pop(peer)
        del self.peers[number]
        self._changed.pop(peer, None)
        self.engine.remove_peer(number)

    def peer_changed(self, peer: Peer) -> None:
        self._changed[peer] = None

    def session_added(self, keypair: Keypair) -> None:
        assert isinstance(keypair, CompiledKeypair)
        peer = keypair.remote.peer
        self.engine.add_session(keypair.session, self.numbers[peer], keypair is not peer.slots.next)
        for retired in peer.slots.previous:  # one may never have been confirmed, and needs not be any more
            self.engine.confirm_session(retired.local_index)

    def session_removed(self, keypair: Keypair) -> None:
        self.engine.remove_session(keypair.local_index)

    def identities_changed(self, public_keys: Iterable[bytes]) -> None:
        self.engine.set_mac1_keys([mac1_key(key) for key in public_keys])

    def mtu_changed(self, mtu: int, route_mtus: Iterable[int]) -> None:
        self.mtu = mtu
        self.engine.set_mtus([*(each for each in route_mtus if each < mtu), mtu])

    def routing_changed(self) -> None:
        """Where to send is asked again: for peers with traffic before the next packet, for others with theirs."""
        self.engine.forget_destinations()
        for peer in self.busy:
            if peer in self.numbers:
                self.peer_changed(peer)

    def sync(self) -> None:
        """Tell the engine which sessions send, and where to."""
        changed, self._changed = self._changed, {}  # a question may bring to light that routing has changed
        for peer in changed:
            number, endpoint, current = self.numbers[peer], peer.endpoint, peer.slots.current
            self.engine.set_current(number, None if current is None else current.local_index)
            if endpoint is None:
                self.engine.set_endpoint(number, None, None)
                continue
            resolved = self.resolve(endpoint)
            to = None if resolved is None else (to_place(resolved[0]), resolved[1])
            self.engine.set_endpoint(number, to_place(endpoint), to)


class FastDevice(Device):
    """A device over an engine. Without I/O it behaves as a plain one: `receive_datagram` and `send_packet` go through
    the engine first. A mover (wgnode.dataplane.mover) lets the engine run and calls `carry_over` after that.
    """

    def __init__(self, private_keys: Iterable[bytes] = (), *, suite: Suite, **options: object) -> None:
        self.plane = FastPlane(suite)
        super().__init__(tuple(private_keys), plane=self.plane, **options)  # type: ignore[arg-type]

    @property
    def counters(self) -> Counter[str]:
        """Dropped messages and packets by errors.Drop, of the engine too."""
        return self._core.counters + Counter(self.plane.engine.dropped())

    def receive_datagram(self, data: bytes, source: Endpoint, now: float) -> None:
        """One UDP payload from `source`."""
        if not self.running:
            return super().receive_datagram(data, source, now)
        self.plane.sync()
        self._core.inbox += self.plane.engine.receive(data, to_place(source), now)
        self.carry_over(now)

    def send_packet(self, packet: bytes, now: float) -> None:
        """One inner IP packet for whichever peer it is routed to."""
        if not self.running or not self._core.identities:
            return super().send_packet(packet, now)
        self.plane.sync()
        for message in self.plane.engine.send(NO_VNET_HEADER + packet, now) or ():
            endpoint = self.plane.peers[message.peer].endpoint
            assert endpoint is not None
            self._core.outbox.append((message.data, endpoint))
        self.carry_over(now)

    def handle_timer(self, now: float) -> None:
        """Do all that is due by `now`; harmless when nothing is."""
        self._note_activity(now)
        super().handle_timer(now)

    def carry_over(self, now: float, spoke: Callable[[], None] = lambda: None) -> list[bytes]:
        """Do what the engine has left to the protocol; returns the inner packets among it.

        `spoke` is called before that when there are any.
        """
        self._note_activity(now)
        packets = []
        handed = self.plane.engine.handed()
        if any(each.place is None for each in handed):
            spoke()
        for each in handed:
            if each.place is None:
                packets.append(each.data)
                super().send_packet(each.data, now)
                self._resolve_again(each.data)
            else:
                super().receive_datagram(each.data, to_endpoint(each.place), now)
        return packets

    def _note_activity(self, now: float) -> None:
        report = self.plane.engine.activity()
        if report:
            self.plane.busy = [self.plane.peers[did.peer] for did in report]
        for did in report:
            activity = Activity(
                tx_bytes=did.tx_bytes,
                rx_bytes=did.rx_bytes,
                sent_at=did.sent_at,
                received_at=did.received_at,
                waiting_since=did.waiting_since,
                owing_since=did.owing_since,
                owing_more=did.owing_more,
                endpoint=None if did.endpoint is None else to_endpoint(did.endpoint),
            )
            transport.note_activity(self._core, self.plane.peers[did.peer], activity, now)

    def _resolve_again(self, packet: bytes) -> None:
        """It came here perhaps because the engine does not know the way any more."""
        peer = self.plane.routes.lookup(packet[16:20] if packet[0] >> 4 == 4 else packet[24:40])
        if peer is not None:
            self.plane.peer_changed(peer)


def to_place(endpoint: Endpoint) -> Place:
    """As the engine wants it."""
    address, _, scope = endpoint.address.partition("%")
    source = None if endpoint.source is None else _packed(endpoint.source)
    return Place(_packed(address), endpoint.port, _interface(scope), source)


@lru_cache(maxsize=4096)
def to_endpoint(place: Place) -> Endpoint:
    """As the protocol wants it."""
    text = _text(place.address) + (f"%{place.scope}" if place.scope else "")
    return Endpoint(text, place.port, None if place.source is None else _text(place.source))


def _interface(scope: str) -> int:
    """Its index; 0 for none, and for one that is not there (now): what is sent there is refused then, and counted."""
    with contextlib.suppress(OSError):
        return int(scope) if scope.isdigit() else socket.if_nametoindex(scope) if scope else 0
    return 0


@lru_cache(maxsize=4096)
def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _text(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)
