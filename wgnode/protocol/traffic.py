"""Traffic that its plane leaves to the protocol (wp 6.2, 6.3, 6.5): what waits for a session, begins or renews one."""

from __future__ import annotations

from wgnode.protocol import handshake
from wgnode.protocol.constants import LAST_MINUTE_REKEY
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.inner import destination, length_and_source
from wgnode.protocol.messages import TRANSPORT_HEADER
from wgnode.protocol.peer import Peer
from wgnode.protocol.plane import Activity
from wgnode.protocol.session import Keypair
from wgnode.protocol.tables import Tables

_unpack_header = TRANSPORT_HEADER.unpack_from


def send(tables: Tables, packet: bytes, now: float) -> None:
    """An inner packet for whichever peer it is routed to: at once, or staged while there is no session."""
    number = tables.plane.sent_to(destination(packet))
    if number is None:
        raise ProtocolError(Drop.NO_PEER)
    peer = tables.peers[number]
    if peer.closed:
        raise ProtocolError(Drop.CLOSED)
    if peer.endpoint is None:
        raise ProtocolError(Drop.NO_ENDPOINT)
    for piece in tables.plane.fit(number, packet, now):
        _send(tables, peer, piece, now)


def _send(tables: Tables, peer: Peer, packet: bytes, now: float) -> None:
    keypair = peer.slots.current
    if keypair is None or not keypair.may_send(now):
        tables.stage(peer, packet)
        handshake.want_handshake(tables, peer, now)
        return
    tables.seal(peer, keypair, packet)
    peer.timers.any_authenticated_packet_sent(now)
    peer.timers.data_sent(now)
    if keypair.wants_renewal(now):
        handshake.want_handshake(tables, peer, now)


def send_keepalive(tables: Tables, peer: Peer, now: float) -> None:
    """An empty transport message, unless packets wait that will do as well."""
    if not peer.staged:
        tables.stage(peer, b"")
    send_staged(tables, peer, now)


def send_staged(tables: Tables, peer: Peer, now: float) -> None:
    """All that waits, if there is a session; a handshake otherwise."""
    if peer.endpoint is None or peer.closed:
        tables.drop_staged(peer)
        return
    keypair = peer.slots.current
    while peer.staged:
        if keypair is None or not keypair.may_send(now):
            handshake.want_handshake(tables, peer, now)
            return
        packet = peer.staged.pop(0)
        tables.seal(peer, keypair, packet)
        peer.timers.any_authenticated_packet_sent(now)
        if packet:
            peer.timers.data_sent(now)
    if keypair is not None and keypair.wants_renewal(now):
        handshake.want_handshake(tables, peer, now)


def seal_probe(peer: Peer, padded: bytes, now: float) -> tuple[bytes, Endpoint] | None:
    """A message of exactly these bytes, by the session that sends, and where to; None where there is none.

    No timer knows of it: it may be lost because it is long, which says nothing of the peer, and what is owed to the
    peer (wp 6.5) is owed as before.
    """
    keypair = peer.slots.current
    if peer.endpoint is None or keypair is None or not keypair.may_send(now):
        return None
    message = keypair.keys.seal(padded)
    peer.tx_bytes += len(message)
    return message, peer.endpoint


def receive(tables: Tables, data: bytes, source: Endpoint, now: float) -> None:
    """A transport message of a session that may not be confirmed yet. Raises ProtocolError.

    A message whose inner packet is bad (BAD_INNER, SOURCE_NOT_ALLOWED) was authentic and has counted as such.
    """
    _, index, counter = _unpack_header(data)
    keypair = tables.indices.get(index)
    if not isinstance(keypair, Keypair):
        raise ProtocolError(Drop.UNKNOWN_INDEX)
    padded = keypair.open(data, counter, now)
    peer = tables.peers[keypair.remote.peer]
    tables.move(peer, source)
    peer.rx_bytes += len(data)
    peer.timers.any_authenticated_packet_received(now)
    if keypair is peer.slots.next:
        _confirm(tables, peer, now)
    _renew_at_the_last_minute(tables, peer, now)
    if padded:
        peer.rx_packets += 1
        peer.timers.data_received(now)
        length, inner_source = length_and_source(padded)
        if not tables.plane.accepts(peer.number, inner_source):
            raise ProtocolError(Drop.SOURCE_NOT_ALLOWED)
        tables.plane.deliver(peer.number, padded[:length], now)


def note_activity(tables: Tables, peer: Peer, activity: Activity, now: float) -> None:
    """What the plane sent and received for a peer: as if it had gone through `send` and `receive`."""
    peer.tx_bytes += activity.tx_bytes
    peer.rx_bytes += activity.rx_bytes
    peer.tx_packets += activity.tx_packets
    peer.rx_packets += activity.rx_packets
    if activity.endpoint is not None:
        tables.move(peer, activity.endpoint)
    peer.timers.note_activity(activity)
    tables.events.active(activity)
    current = peer.slots.current
    if activity.sent_at is not None and current is not None and current.wants_renewal(now):
        handshake.want_handshake(tables, peer, now)
    if activity.received_at is not None:
        _renew_at_the_last_minute(tables, peer, now)


def _confirm(tables: Tables, peer: Peer, now: float) -> None:
    """The initiator uses the session that we answered with, so now we may (wp 6.3)."""
    tables.free(peer.slots.confirm_next() + peer.slots.outlived(now))
    tables.sessions_changed(peer)
    handshake.complete(peer, now)
    send_staged(tables, peer, now)


def _renew_at_the_last_minute(tables: Tables, peer: Peer, now: float) -> None:
    """An initiator that only receives renews its session too, once, before it ends (wp 6.2)."""
    current = peer.slots.current
    if current is None or not current.is_initiator or peer.timers.sent_last_minute:
        return
    if now - current.created >= LAST_MINUTE_REKEY:
        peer.timers.sent_last_minute = True
        handshake.want_handshake(tables, peer, now)
