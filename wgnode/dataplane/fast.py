"""The compiled data plane: the engine (fastpath/) handles what goes through established sessions.

What it leaves takes the way of plain Python, with the same keys, counters and replay windows: a session's are in one
place, the engine's `Session`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from ipaddress import ip_network

import wgnode_fastpath
from wgnode_fastpath import Engine, Events, Session, Suite

from wgnode.dataplane import fitting
from wgnode.dataplane.fast_access import FastAccess
from wgnode.dataplane.fast_session import FastPeer, FastSession
from wgnode.dataplane.fitting import Fitting
from wgnode.dataplane.places import to_endpoint, to_place
from wgnode.policy.model import Denial, FlowFigures, Policy
from wgnode.protocol.allowed_ips import Network
from wgnode.protocol.cookie import mac1_key
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.inner import destination
from wgnode.protocol.plane import Activity, Echo, Handed, Limit, SessionKeys
from wgnode.protocol.wipe import wipe

NO_VNET_HEADER = bytes(10)
Resolve = Callable[[Endpoint], "tuple[Endpoint, bool] | None"]


class EnginesRate:
    """See fitting.Rate: the same for what the engine tells itself, and for what was left to the protocol."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def allow(self, destination: bytes, now: float) -> bool:
        return self._engine.may_tell(destination, now)


class FastPlane:
    """See plane.Plane. Which session sends, and where to, the engine is told by `sync`: after what the protocol had to
    send itself has been sent, so that nothing overtakes that.

    `resolve(endpoint)` says where to send what is for it: an endpoint whose `source` is still good, and whether another
    tunnel carries it; None where packets have to take the way of plain Python.
    """

    keeps_limits = True

    def __init__(self, suite: Suite) -> None:
        self.datagrams: list[tuple[bytes, Endpoint]] = []
        self.fragmented: list[tuple[bytes, Endpoint]] = []
        self.packets: list[bytes] = []
        self.engine = Engine()
        self.resolve: Resolve = lambda endpoint: (endpoint, False)
        self.mtu = 0
        self._route_mtus: tuple[int, ...] = ()
        self._fitting = Fitting(EnginesRate(self.engine))
        self._access = FastAccess(self.engine)
        self._suite = suite
        self._peers: dict[int, FastPeer] = {}
        self._changed: dict[int, None] = {}
        self._busy: list[int] = []
        self._activity: list[Activity] = []
        self._handed: list[Handed] = []
        self._echoes: list[Echo] = []

    @property
    def counters(self) -> Counter[str]:
        return Counter(self.engine.dropped())

    @property
    def fitted(self) -> Counter[str]:
        return Counter(self.engine.fitted()) + self._fitting.fitted

    def set_mtus(self, mtu: int, route_mtus: tuple[int, ...]) -> None:
        self.mtu, self._route_mtus = mtu, route_mtus
        self.engine.set_mtus([*(each for each in route_mtus if each < mtu), mtu])

    def set_identities(self, public_keys: tuple[bytes, ...]) -> None:
        self.engine.set_mac1_keys([mac1_key(key) for key in public_keys])

    def add_peer(self) -> int:
        number = self.engine.add_peer()
        self._peers[number] = FastPeer()
        return number

    def remove_peer(self, peer: int) -> None:
        self.engine.remove_routes(peer)
        self.engine.remove_peer(peer)
        self._access.forget(peer)
        del self._peers[peer]
        self._changed.pop(peer, None)

    def set_endpoint(self, peer: int, endpoint: Endpoint | None) -> None:
        self._peers[peer].endpoint = endpoint
        self._changed[peer] = None

    def set_current(self, peer: int, session: SessionKeys | None) -> None:
        assert session is None or isinstance(session, FastSession)
        self._peers[peer].current = None if session is None else session.local_index
        self._changed[peer] = None

    def add_session(
        self, peer: int, indices: tuple[int, int], keys: tuple[bytes, bytes], now: float, *, confirmed: bool
    ) -> FastSession:
        session = FastSession(indices[0], Session(indices, keys, now, self._suite))
        wipe(*keys)
        self.engine.add_session(session.engines, peer, confirmed)
        return session

    def confirm_session(self, local_index: int) -> None:
        self.engine.confirm_session(local_index)

    def remove_session(self, local_index: int) -> None:
        self.engine.remove_session(local_index)

    def set_limit(self, peer: int, limit: Limit | None) -> None:
        self._peers[peer].limit = limit
        self.engine.set_limit(peer, limit)

    def set_echo(self, peer: int, addresses: tuple[bytes, bytes] | None) -> None:
        self._peers[peer].echo = addresses
        self.engine.set_echo(peer, addresses)

    def set_policy(self, policy: Policy | None, classes: Mapping[int, int]) -> None:
        self._access.set_policy(policy, classes)

    def set_class(self, peer: int, number: int | None) -> None:
        self._access.set_class(peer, number)

    def end_flows(self, peer: int) -> None:
        self._access.end_flows(peer)

    def take_denials(self) -> list[Denial]:
        return self._access.take_denials()

    @property
    def flows(self) -> FlowFigures:
        return self._access.figures

    def add_network(self, network: str | Network, peer: int) -> None:
        net = ip_network(network, strict=False)
        self.engine.add_route(net.network_address.packed, net.prefixlen, peer)

    def remove_network(self, network: str | Network, peer: int) -> None:
        net = ip_network(network, strict=False)
        self.engine.remove_route(net.network_address.packed, net.prefixlen, peer)

    def remove_networks(self, peer: int) -> None:
        self.engine.remove_routes(peer)

    def networks(self, peer: int) -> list[Network]:
        return [ip_network((each.address, each.length)) for each in self.engine.routes(peer)]

    def sent_to(self, destination: bytes) -> int | None:
        return self.engine.lookup(destination)

    def accepts(self, peer: int, source: bytes) -> bool:
        return self.engine.lookup(source) == peer

    def send(self, packet: bytes, now: float) -> bool:
        self.sync()
        messages = self.engine.send(NO_VNET_HEADER + packet, now)
        for message in messages or ():
            endpoint = self._peers[message.peer].endpoint
            assert endpoint is not None
            (self.fragmented if message.long else self.datagrams).append((message.data, endpoint))
        self.packets += self.engine.told()
        if messages is None:
            self._hand_over(self.engine.handed())
        return messages is not None

    def receive(self, data: bytes, source: Endpoint, now: float) -> bool:
        self.sync()
        self.packets += self.engine.receive(data, to_place(source), now)
        self._hand_over(self.engine.handed())
        self._keep(self.engine.echoes())
        return not self._handed

    def take_activity(self) -> list[Activity]:
        self._note(self.engine.activity())
        told, self._activity = self._activity, []
        return told

    def take_handed(self) -> list[Handed]:
        handed, self._handed = self._handed, []
        for data, source in handed:
            if source is None and (peer := self.engine.lookup(destination(data))) is not None:
                self._changed[peer] = None  # perhaps the engine does not know the way any more
        return handed

    def take_echoes(self) -> list[Echo]:
        echoes, self._echoes = self._echoes, []
        return echoes

    def fit(self, peer: int, packet: bytes, now: float) -> list[bytes]:
        limit = self._peers[peer].limit
        return [packet] if limit is None else self._fitting.fit(packet, limit, self.packets, now)

    def bounds(self, peer: int) -> tuple[int, ...]:
        return fitting.bounds(self._peers[peer].limit, self._route_mtus)

    def transmit(self, peer: int, message: bytes, endpoint: Endpoint) -> None:
        long = fitting.is_long(len(message), self._peers[peer].limit)
        (self.fragmented if long else self.datagrams).append((message, endpoint))

    def deliver(self, peer: int, packet: bytes, now: float) -> None:
        limit, echo = self._peers[peer].limit, self._peers[peer].echo
        if echo is not None and fitting.may_be_probes(packet, echo):
            self._echoes.append(Echo(peer, packet))
            return
        if not self._access.passes(peer, packet, now):
            raise ProtocolError(Drop.DENIED)
        self.packets.append(packet if limit is None else self._fitting.clamp(packet, limit))

    def hear(self, events: Events) -> None:
        """What the engine's thread tells, to be taken by the device."""
        self._note(events.activity)
        self._hand_over(events.handed)
        self._keep(events.echoes)

    def _note(self, report: list[wgnode_fastpath.Activity]) -> None:
        if report:
            self._busy = [did.peer for did in report]
        for did in report:
            self._activity.append(
                Activity(
                    peer=did.peer,
                    tx_bytes=did.tx_bytes,
                    rx_bytes=did.rx_bytes,
                    sent_at=did.sent_at,
                    received_at=did.received_at,
                    waiting_since=did.waiting_since,
                    owing_since=did.owing_since,
                    owing_more=did.owing_more,
                    endpoint=None if did.endpoint is None else to_endpoint(did.endpoint),
                    longest=did.longest,
                    tx_packets=did.tx_packets,
                    rx_packets=did.rx_packets,
                )
            )

    def _hand_over(self, handed: list[wgnode_fastpath.Handed]) -> None:
        for each in handed:
            self._handed.append(Handed(each.data, None if each.place is None else to_endpoint(each.place)))

    def _keep(self, echoes: list[wgnode_fastpath.Echo]) -> None:
        self._echoes += [Echo(each.peer, each.packet) for each in echoes]

    def routing_changed(self) -> None:
        """Where to send is asked again: for peers with traffic before the next packet, for others with theirs."""
        self.engine.forget_destinations()
        self._changed.update(dict.fromkeys(peer for peer in self._busy if peer in self._peers))

    def sync(self) -> None:
        """Tell the engine which sessions send, and where to."""
        changed, self._changed = self._changed, {}  # a question may bring to light that routing has changed
        for number in changed:
            peer = self._peers[number]
            self.engine.set_current(number, peer.current)
            if peer.endpoint is None:
                self.engine.set_endpoint(number, None, None)
                continue
            resolved = self.resolve(peer.endpoint)
            to = None if resolved is None else (to_place(resolved[0]), resolved[1])
            self.engine.set_endpoint(number, to_place(peer.endpoint), to)
