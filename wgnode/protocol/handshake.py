"""Handshakes with peers, both roles (wp 5.4.2, 5.4.3, 6.4): noise.py's keys and bytes joined to peers and time.

We may be initiator and responder at once: an initiation that arrives while ours is outstanding is answered, and
the response to ours is still taken. Crossing initiations thus give two working sessions and lose nothing.
"""

from __future__ import annotations

from wgnode.protocol.constants import INITIATIONS_PER_SECOND, REKEY_TIMEOUT
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.messages import CookieReply, Initiation, Response
from wgnode.protocol.noise import (
    NO_PSK,
    SymmetricState,
    read_initiation_payload,
    read_initiation_static,
    read_response,
    write_initiation,
    write_response,
)
from wgnode.protocol.peer import Outstanding, Peer
from wgnode.protocol.statics import Identity, RemoteStatic
from wgnode.protocol.tables import Tables

_MIN_INTERVAL = 1 / INITIATIONS_PER_SECOND


def want_handshake(tables: Tables, peer: Peer, now: float) -> None:
    """Something needs a (new) session: starts a fresh run of attempts."""
    peer.timers.attempts = 0
    send_initiation(tables, peer, now)


def send_initiation(tables: Tables, peer: Peer, now: float) -> None:
    """Unless a handshake message went to the peer less than REKEY_TIMEOUT ago: then once that time is over."""
    if not tables.identities or peer.endpoint is None or peer.closed:
        return
    if 0 <= now - peer.last_sent_handshake < REKEY_TIMEOUT:
        peer.timers.retry_after(peer.last_sent_handshake)
        return
    try:
        message = _create_initiation(tables, peer)
    except ProtocolError as error:
        tables.counters[error.drop] += 1
        return
    tables.transmit(peer, peer.statics[0].cookies.add_macs(message.pack(), now))
    peer.last_sent_handshake = now
    peer.timers.any_authenticated_packet_sent(now)
    peer.timers.handshake_initiated(now)


def _create_initiation(tables: Tables, peer: Peer) -> Initiation:
    """Replaces an older outstanding one. Raises ProtocolError when the peer's key is a low-order point."""
    identity, remote = tables.identities[0], peer.statics[0]
    state, ephemeral, static, timestamp = write_initiation(
        identity.private_key,
        identity.public_key,
        remote.public_key,
        remote.shared_with(identity),
        tables.new_ephemeral(),
        tables.tai64n(),
    )
    tables.clear_handshake(peer)
    index = tables.new_index()
    peer.outstanding = tables.indices[index] = Outstanding(remote, identity, index, state)
    return Initiation(index, ephemeral, static, timestamp)


def receive_initiation(tables: Tables, identity: Identity, data: bytes, source: Endpoint, now: float) -> None:
    """An initiation with a right mac1 for `identity`: answer it. Raises ProtocolError, with nothing changed."""
    message = Initiation.parse(data)
    state, public_key = read_initiation_static(
        identity.private_key, identity.public_key, message.ephemeral, message.static
    )
    remote = tables.statics.get(public_key)
    if remote is None:
        raise ProtocolError(Drop.UNKNOWN_PEER)
    if tables.peers[remote.peer].closed:
        raise ProtocolError(Drop.CLOSED)
    timestamp = read_initiation_payload(state, remote.shared_with(identity), message.timestamp)
    if timestamp <= remote.latest_timestamp:
        raise ProtocolError(Drop.REPLAYED_INITIATION)
    if 0 <= now - remote.last_initiation < _MIN_INTERVAL:
        raise ProtocolError(Drop.INITIATION_FLOOD)
    remote.latest_timestamp = timestamp
    remote.last_initiation = now
    _authenticated(tables, tables.peers[remote.peer], data, source, now)
    _send_response(tables, identity, remote, state, message, now)


def _send_response(
    tables: Tables, identity: Identity, remote: RemoteStatic, state: SymmetricState, initiation: Initiation, now: float
) -> None:
    peer = tables.peers[remote.peer]
    psk = peer.preshared_keys[0] if peer.preshared_keys else NO_PSK
    ephemeral, empty = write_response(state, tables.new_ephemeral(), initiation.ephemeral, remote.public_key, psk)
    receive_key, send_key = state.split()
    state.wipe()
    indices = (tables.new_index(), initiation.sender)
    keypair = tables.add_session(remote, identity, indices, (send_key, receive_key), now, is_initiator=False)
    tables.free(peer.slots.add_as_responder(keypair))
    peer.timers.session_derived(now)
    body = Response(keypair.local_index, initiation.sender, ephemeral, empty).pack()
    tables.transmit(peer, remote.cookies.add_macs(body, now))
    peer.last_sent_handshake = now
    peer.timers.any_authenticated_packet_sent(now)


def receive_response(tables: Tables, data: bytes, source: Endpoint, now: float) -> Peer:
    """A response to our outstanding initiation: the peer has a new current session. Raises ProtocolError."""
    message = Response.parse(data)
    outstanding = tables.indices.get(message.receiver)
    if not isinstance(outstanding, Outstanding):
        raise ProtocolError(Drop.UNKNOWN_INDEX)
    peer = tables.peers[outstanding.remote.peer]
    state = read_response(outstanding.state, peer.preshared_keys, message.ephemeral, message.empty)
    indices = (outstanding.local_index, message.sender)
    keypair = tables.add_session(
        outstanding.remote, outstanding.identity, indices, state.split(), now, is_initiator=True
    )
    state.wipe()
    outstanding.state.symmetric.wipe()
    peer.outstanding = None
    gone = peer.slots.add_as_initiator(keypair) + peer.slots.outlived(now)
    tables.free(gone)
    tables.sessions_changed(peer)
    tables.events.answered(peer.number, now - peer.last_sent_handshake)
    _authenticated(tables, peer, data, source, now)
    peer.timers.session_derived(now)
    complete(peer, now)
    return peer


def receive_cookie_reply(tables: Tables, data: bytes, now: float) -> None:
    """Keep the cookie for the next handshake message; nothing is resent and nobody roams. Raises ProtocolError."""
    reply = CookieReply.parse(data)
    entry = tables.indices.get(reply.receiver)
    if entry is None:
        raise ProtocolError(Drop.UNKNOWN_INDEX)
    entry.remote.cookies.consume(reply, now)


def complete(peer: Peer, now: float) -> None:
    """Both sides have the session."""
    peer.last_handshake = now
    peer.sessions += 1
    peer.timers.handshake_complete()


def _authenticated(tables: Tables, peer: Peer, data: bytes, source: Endpoint, now: float) -> None:
    tables.move(peer, source)
    peer.rx_bytes += len(data)
    peer.timers.any_authenticated_packet_received(now)
