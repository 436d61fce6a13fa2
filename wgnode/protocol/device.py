"""The WireGuard device without its sockets: bytes and the time go in, datagrams and packets come out.

`now` is seconds everywhere, of a clock that never steps back and counts sleep. After every call the shell drains
`datagrams_to_send` and `packets_to_deliver` and arms one timer for `next_deadline`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from wgnode.protocol import expiry, handshake, traffic
from wgnode.protocol.configuration import Configured
from wgnode.protocol.defence import Defence
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.events import PeerEvents
from wgnode.protocol.messages import COOKIE_REPLY, INITIATION, TRANSPORT, message_type
from wgnode.protocol.peer import Peer
from wgnode.protocol.plane import Echo, Plane
from wgnode.protocol.schedule import NEVER
from wgnode.protocol.tables import Tables

MOST_AT_ONCE = 32
"""Peers whose timers are dealt with before all else has its turn: some 5 ms if each of them wants a handshake."""


class Device(Configured):
    """Up to two identities (private keys: current, next) and any number of peers: handshakes, timers, configuration.

    Packets of established sessions go through its `plane`. `random(n)` gives n random bytes, `tai64n()` the 12-byte
    TAI64N label of the wall clock, `mtu` is bytes of inner packet. `under_load`: see Defence. `counters` counts what
    was dropped, by kind (see errors.Drop).
    """

    def __init__(
        self,
        private_keys: Sequence[bytes] = (),
        *,
        plane: Plane,
        random: Callable[[int], bytes],
        tai64n: Callable[[], bytes],
        listen_port: int = 0,
        mtu: int = 1420,
        under_load: Callable[[float], bool] | None = None,
    ) -> None:
        super().__init__(Tables(random, tai64n, mtu, plane), private_keys, listen_port)
        self.plane = plane
        self._defence = Defence(self._tables, under_load)

    def __repr__(self) -> str:
        return f"Device({len(self._tables.peers)} peers, {'running' if self.running else 'stopped'})"

    @property
    def counters(self) -> Counter[str]:
        """Dropped messages and packets by errors.Drop."""
        return self._tables.counters + self.plane.counters

    def tell(self, events: PeerEvents) -> None:
        """What happens to peers from now on."""
        self._tables.events = events

    # Traffic: never raises for what comes from outside; it is counted in `counters` and dropped.

    def start(self, now: float) -> None:
        """Link up: persistent keepalives, hence handshakes, begin."""
        self._now = now
        self.running = True
        for peer in self.peers:
            self._keepalive_at_once(peer)
        self.handle_timer(now)

    def initiate(self, peer: Peer, now: float) -> None:
        """A handshake with a peer that has an endpoint and no session: it may hold one that we have lost."""
        self._now = now
        if self.running and peer.slots.current is None:
            handshake.want_handshake(self._tables, peer, now)

    def renew(self, peer: Peer, now: float) -> None:
        """A handshake with a peer that has an endpoint, whatever session there is: for who wants to see one."""
        self._now = now
        if self.running:
            handshake.want_handshake(self._tables, peer, now)

    def send_keepalive(self, peer: Peer, now: float) -> None:
        """To a peer with a session, so that it learns from where we send now."""
        self._now = now
        if peer.slots.current is not None:
            traffic.send_keepalive(self._tables, peer, now)

    def stop(self, now: float) -> None:
        """Link down: sessions and staged packets are forgotten, nothing is sent or accepted."""
        self._now = now
        self.running = False
        for peer in self.peers:
            self._tables.forget(peer)

    def receive_datagram(self, data: bytes, source: Endpoint, now: float) -> None:
        """One UDP payload from `source`."""
        self.receive_datagrams(((data, source),), now)

    def receive_datagrams(self, datagrams: Iterable[tuple[bytes, Endpoint]], now: float) -> None:
        """UDP payloads and where they come from."""
        self._now = now
        receive = self._tables.plane.receive
        for data, source in datagrams:
            if not self.running:
                self._tables.counters[Drop.DOWN] += 1
            elif not receive(data, source, now):
                self.carry_over(now)
        self._note_activity(now)

    def send_packet(self, packet: bytes, now: float) -> None:
        """One inner IP packet for whichever peer it is routed to."""
        self.send_packets((packet,), now)

    def send_packets(self, packets: Iterable[bytes], now: float) -> None:
        """Inner IP packets for whichever peers they are routed to."""
        self._now = now
        send = self._tables.plane.send
        for packet in packets:
            if not self.running or not self._tables.identities:
                self._tables.counters[Drop.DOWN] += 1
            elif not send(packet, now):
                self.carry_over(now)
        self._note_activity(now)

    def handle_timer(self, now: float) -> None:
        """Do what is due by `now`, of MOST_AT_ONCE peers: for others `next_deadline` stays in the past. Harmless when
        nothing is."""
        self._now = now
        self._note_activity(now)
        for timers in self._tables.schedule.due(now, MOST_AT_ONCE):
            expiry.expire(self._tables, self._tables.peers[timers.peer], now)

    def carry_over(self, now: float) -> None:
        """Do what the plane has left to the protocol. For whoever lets the plane move packets by itself."""
        self._now = now
        self._note_activity(now)
        for data, source in self._tables.plane.take_handed():
            try:
                self._decide(data, source, now)
            except ProtocolError as error:
                self._tables.counters[error.drop] += 1

    def datagrams_to_send(self) -> list[tuple[bytes, Endpoint]]:
        """UDP payloads in order, handed over once."""
        out, self._tables.plane.datagrams = self._tables.plane.datagrams, []
        return out

    def fragments_to_send(self) -> list[tuple[bytes, Endpoint]]:
        """UDP payloads that go by the sockets whose datagrams may be fragmented, handed over once."""
        out, self._tables.plane.fragmented = self._tables.plane.fragmented, []
        return out

    def echoes(self) -> list[Echo]:
        """Replies that may be a probe's, handed over once: those that are none go to `deliver_echo`."""
        return self._tables.plane.take_echoes()

    def deliver_echo(self, echo: Echo) -> None:
        """It was somebody else's."""
        self._tables.plane.packets.append(echo.packet)

    def probe(self, peer: Peer, padded: bytes, now: float) -> tuple[bytes, Endpoint] | None:
        """A message with exactly these bytes inside, to be sent at once and unfragmented: see traffic.seal_probe."""
        self._now = now
        return traffic.seal_probe(peer, padded, now) if self.running else None

    def packets_to_deliver(self) -> list[bytes]:
        """Checked inner IP packets in order, handed over once."""
        out, self._tables.plane.packets = self._tables.plane.packets, []
        return out

    def next_deadline(self, before: float = NEVER) -> float | None:
        """When to call `handle_timer` at the latest (may be in the past: at once), None for not `before` that time."""
        return self._tables.schedule.next_deadline(before)

    def _note_activity(self, now: float) -> None:
        for activity in self._tables.plane.take_activity():
            traffic.note_activity(self._tables, self._tables.peers[activity.peer], activity, now)

    def _decide(self, data: bytes, source: Endpoint | None, now: float) -> None:
        """One that was handed over: see plane.Handed. Raises ProtocolError."""
        if not self.running or (source is None and not self._tables.identities):
            raise ProtocolError(Drop.DOWN)
        if source is None:
            return traffic.send(self._tables, data, now)
        kind = message_type(data)
        if kind == TRANSPORT:
            traffic.receive(self._tables, data, source, now)
        elif kind == COOKIE_REPLY:
            handshake.receive_cookie_reply(self._tables, data, now)
        else:
            identity = self._defence.admit(data, source, now)
            if kind == INITIATION:
                handshake.receive_initiation(self._tables, identity, data, source, now)
            else:
                peer = handshake.receive_response(self._tables, data, source, now)
                traffic.send_keepalive(self._tables, peer, now)
