"""The data plane in plain Python: transport messages (wp 5.4.6, 6.1, 6.2) of established sessions.

Read it beside fastpath/src/engine/, the compiled one: both do the same with the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import count

from wgnode.dataplane import fitting
from wgnode.dataplane.fitting import Fitting
from wgnode.dataplane.flows import Flows
from wgnode.dataplane.plain_session import PlainPeer, PlainSession
from wgnode.policy.model import Denial, FlowFigures, Policy
from wgnode.protocol.allowed_ips import AllowedIPs, Network
from wgnode.protocol.constants import REJECT_AFTER_MESSAGES, REJECT_AFTER_TIME
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.inner import destination, length_and_source
from wgnode.protocol.messages import TRANSPORT, TRANSPORT_HEADER, message_type
from wgnode.protocol.padding import pad
from wgnode.protocol.plane import Activity, Echo, Handed, Limit, SessionKeys

_unpack_header = TRANSPORT_HEADER.unpack_from


class PlainPlane:
    """See plane.Plane."""

    keeps_limits = True

    def __init__(self) -> None:
        self.datagrams: list[tuple[bytes, Endpoint]] = []
        self.fragmented: list[tuple[bytes, Endpoint]] = []
        self.packets: list[bytes] = []
        self.counters: Counter[str] = Counter()
        self._mtu = 0
        self._route_mtus: tuple[int, ...] = ()
        self._numbers = count(1)
        self._peers: dict[int, PlainPeer] = {}
        self._sessions: dict[int, PlainSession] = {}
        self._routes = AllowedIPs[PlainPeer]()
        self._active: list[PlainPeer] = []
        self._handed: list[Handed] = []
        self._echoes: list[Echo] = []
        self._fitting = Fitting()
        self._flows = Flows(self.sent_to)

    @property
    def fitted(self) -> Counter[str]:
        return self._fitting.fitted

    def set_mtus(self, mtu: int, route_mtus: tuple[int, ...]) -> None:
        self._mtu, self._route_mtus = mtu, route_mtus
        for peer in self._peers.values():
            peer.set_limit(peer.limit, route_mtus)

    def set_identities(self, public_keys: tuple[bytes, ...]) -> None:
        """The protocol asks for itself whom a handshake message is for: asking here too would only cost more."""

    def add_peer(self) -> int:
        number = next(self._numbers)
        self._peers[number] = PlainPeer(number, self._route_mtus)
        return number

    def remove_peer(self, peer: int) -> None:
        gone = self._peers.pop(peer)
        self._routes.remove_owner(gone)
        self._flows.remove(peer)
        if gone.active:
            self._active.remove(gone)

    def set_endpoint(self, peer: int, endpoint: Endpoint | None) -> None:
        self._peers[peer].endpoint = endpoint

    def set_current(self, peer: int, session: SessionKeys | None) -> None:
        assert session is None or isinstance(session, PlainSession)
        self._peers[peer].current = session
        if session is not None:
            session.confirmed = True

    def add_session(
        self, peer: int, indices: tuple[int, int], keys: tuple[bytes, bytes], now: float, *, confirmed: bool
    ) -> PlainSession:
        local, remote = indices
        session = PlainSession(self._peers[peer], remote, keys, now, confirmed=confirmed)
        self._sessions[local] = session
        return session

    def confirm_session(self, local_index: int) -> None:
        self._sessions[local_index].confirmed = True

    def remove_session(self, local_index: int) -> None:
        self._sessions.pop(local_index, None)

    def set_limit(self, peer: int, limit: Limit | None) -> None:
        self._peers[peer].set_limit(limit, self._route_mtus)

    def set_echo(self, peer: int, addresses: tuple[bytes, bytes] | None) -> None:
        self._peers[peer].echo = addresses

    def set_policy(self, policy: Policy | None, classes: Mapping[int, int]) -> None:
        self._flows.set_policy(policy, classes)
        for number, peer in self._peers.items():
            peer.judged = number in self._flows.classes

    def set_class(self, peer: int, number: int | None) -> None:
        self._flows.set_class(peer, number)
        self._peers[peer].judged = peer in self._flows.classes

    def end_flows(self, peer: int) -> None:
        self._flows.end(peer)

    def take_denials(self) -> list[Denial]:
        return self._flows.take_denials()

    @property
    def flows(self) -> FlowFigures:
        return self._flows.figures

    def add_network(self, network: str | Network, peer: int) -> None:
        self._routes.insert(network, self._peers[peer])
        self._flows.judge_again()

    def remove_network(self, network: str | Network, peer: int) -> None:
        self._routes.remove(network, self._peers[peer])
        self._flows.judge_again()

    def remove_networks(self, peer: int) -> None:
        self._routes.remove_owner(self._peers[peer])
        self._flows.judge_again()

    def networks(self, peer: int) -> list[Network]:
        return self._routes.networks(self._peers[peer])

    def sent_to(self, destination: bytes) -> int | None:
        peer = self._routes.lookup(destination)
        return None if peer is None else peer.number

    def accepts(self, peer: int, source: bytes) -> bool:
        return self._routes.lookup(source) is self._peers[peer]

    def send(self, packet: bytes, now: float) -> bool:
        try:
            return self._send(packet, now) or self._hand_over(packet, None)
        except ProtocolError as error:
            self.counters[error.drop] += 1
            return True

    def receive(self, data: bytes, source: Endpoint, now: float) -> bool:
        try:
            kind = message_type(data)
            if not kind:
                raise ProtocolError(Drop.MALFORMED)
            return (kind == TRANSPORT and self._receive(data, source, now)) or self._hand_over(data, source)
        except ProtocolError as error:
            self.counters[error.drop] += 1
            return True

    def take_activity(self) -> list[Activity]:
        if not self._active:
            return []
        active, self._active = self._active, []
        return [peer.report() for peer in active]

    def take_handed(self) -> list[Handed]:
        handed, self._handed = self._handed, []
        return handed

    def take_echoes(self) -> list[Echo]:
        if not self._echoes:
            return []
        echoes, self._echoes = self._echoes, []
        return echoes

    def fit(self, peer: int, packet: bytes, now: float) -> list[bytes]:
        limit = self._peers[peer].limit
        return [packet] if limit is None else self._fitting.fit(packet, limit, self.packets, now)

    def bounds(self, peer: int) -> tuple[int, ...]:
        return self._peers[peer].bounds

    def transmit(self, peer: int, message: bytes, endpoint: Endpoint) -> None:
        (self.datagrams if len(message) <= self._peers[peer].whole else self.fragmented).append((message, endpoint))

    def deliver(self, peer: int, packet: bytes, now: float) -> None:
        self._deliver(self._peers[peer], packet, now)

    def _deliver(self, peer: PlainPeer, packet: bytes, now: float) -> None:
        """Raises ProtocolError."""
        if peer.echo is not None and fitting.may_be_probes(packet, peer.echo):
            self._echoes.append(Echo(peer.number, packet))
            return
        if peer.judged and not self._flows.passes(peer.number, packet, now, outgoing=True):
            raise ProtocolError(Drop.DENIED)
        self.packets.append(packet if peer.limit is None else self._fitting.clamp(packet, peer.limit))

    def _hand_over(self, data: bytes, source: Endpoint | None) -> bool:
        self._handed.append(Handed(data, source))
        return False

    def _send(self, packet: bytes, now: float) -> bool:
        """False for what has no session: that is the protocol's. Raises ProtocolError."""
        peer = self._routes.lookup(destination(packet))
        if peer is None:
            raise ProtocolError(Drop.NO_PEER)
        if peer.judged and not self._flows.passes(peer.number, packet, now, outgoing=False):
            raise ProtocolError(Drop.DENIED)
        endpoint, session = peer.endpoint, peer.current
        if endpoint is None:
            raise ProtocolError(Drop.NO_ENDPOINT)
        if (
            session is None
            or now - session.created >= REJECT_AFTER_TIME
            or session.send_counter >= REJECT_AFTER_MESSAGES
        ):
            return False
        if len(packet) <= peer.inner:
            self._send_by(session, packet, peer, endpoint, now)
        else:
            for piece in self.fit(peer.number, packet, now):
                self._send_by(session, piece, peer, endpoint, now)
        return True

    def _send_by(self, session: PlainSession, packet: bytes, peer: PlainPeer, endpoint: Endpoint, now: float) -> None:
        message = session.seal(pad(packet, self._mtu, peer.bounds))
        size = len(message)
        (self.datagrams if size <= peer.whole else self.fragmented).append((message, endpoint))
        peer.sent(size, now)
        if not peer.active:
            self._note_active(peer)

    def _receive(self, data: bytes, source: Endpoint, now: float) -> bool:
        """A transport message: open it, note that the peer is there, deliver. Raises ProtocolError.

        False for one of a session that is not confirmed: what follows from the first is the protocol's.
        A message whose inner packet is bad (BAD_INNER, SOURCE_NOT_ALLOWED) was authentic and has counted as such.
        """
        _, index, counter = _unpack_header(data)
        session = self._sessions.get(index)
        if session is None:
            raise ProtocolError(Drop.UNKNOWN_INDEX)
        if now - session.created >= REJECT_AFTER_TIME or counter >= REJECT_AFTER_MESSAGES:
            raise ProtocolError(Drop.EXPIRED)
        if not session.confirmed:
            return False
        padded = session.open(data, counter)
        peer = session.peer
        peer.received(len(data), now, data=bool(padded))
        if source is not peer.endpoint and source != peer.endpoint:
            peer.endpoint = source
            peer.roamed = True
        if not peer.active:
            self._note_active(peer)
        if padded:
            length, inner_source = length_and_source(padded)
            if self._routes.lookup(inner_source) is not peer:
                raise ProtocolError(Drop.SOURCE_NOT_ALLOWED)
            self._deliver(peer, padded if length == len(padded) else padded[:length], now)
        return True

    def _note_active(self, peer: PlainPeer) -> None:
        peer.active = True
        self._active.append(peer)
