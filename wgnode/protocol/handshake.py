"""Handshakes with peers, both roles (wp 5.4.2, 5.4.3, 6.4): noise.py's keys and bytes joined to peers and time.

We may be initiator and responder at once: an initiation that arrives while ours is outstanding is answered, and
the response to ours is still taken. Crossing initiations thus give two working sessions and lose nothing.
"""

from __future__ import annotations

from wgnode.protocol.constants import INITIATIONS_PER_SECOND, REKEY_TIMEOUT
from wgnode.protocol.core import Core
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

_MIN_INTERVAL = 1 / INITIATIONS_PER_SECOND


def want_handshake(core: Core, peer: Peer, now: float) -> None:
    """Something needs a (new) session: starts a fresh run of attempts."""
    peer.timers.attempts = 0
    send_initiation(core, peer, now)


def send_initiation(core: Core, peer: Peer, now: float) -> None:
    """Unless a handshake message went to the peer less than REKEY_TIMEOUT ago: then once that time is over."""
    if not core.identities or peer.endpoint is None:
        return
    if 0 <= now - peer.last_sent_handshake < REKEY_TIMEOUT:
        peer.timers.retry_after(peer.last_sent_handshake)
        return
    try:
        message = _create_initiation(core, peer)
    except ProtocolError as error:
        core.counters[error.drop] += 1
        return
    core.transmit(peer, peer.statics[0].cookies.add_macs(message.pack(), now))
    peer.last_sent_handshake = now
    peer.timers.any_authenticated_packet_sent(now)
    peer.timers.handshake_initiated(now)


def _create_initiation(core: Core, peer: Peer) -> Initiation:
    """Replaces an older outstanding one. Raises ProtocolError when the peer's key is a low-order point."""
    identity, remote = core.identities[0], peer.statics[0]
    state, ephemeral, static, timestamp = write_initiation(
        identity.private_key,
        identity.public_key,
        remote.public_key,
        remote.shared_with(identity),
        core.new_ephemeral(),
        core.tai64n(),
    )
    core.clear_handshake(peer)
    index = core.new_index()
    peer.outstanding = core.indices[index] = Outstanding(remote, identity, index, state)
    return Initiation(index, ephemeral, static, timestamp)


def receive_initiation(core: Core, identity: Identity, data: bytes, source: Endpoint, now: float) -> None:
    """An initiation with a right mac1 for `identity`: answer it. Raises ProtocolError, with nothing changed."""
    message = Initiation.parse(data)
    state, public_key = read_initiation_static(
        identity.private_key, identity.public_key, message.ephemeral, message.static
    )
    remote = core.statics.get(public_key)
    if remote is None:
        raise ProtocolError(Drop.UNKNOWN_PEER)
    timestamp = read_initiation_payload(state, remote.shared_with(identity), message.timestamp)
    if timestamp <= remote.latest_timestamp:
        raise ProtocolError(Drop.REPLAYED_INITIATION)
    if 0 <= now - remote.last_initiation < _MIN_INTERVAL:
        raise ProtocolError(Drop.INITIATION_FLOOD)
    remote.latest_timestamp = timestamp
    remote.last_initiation = now
    _authenticated(core, core.peers[remote.peer], data, source, now)
    _send_response(core, identity, remote, state, message, now)


def _send_response(
    core: Core, identity: Identity, remote: RemoteStatic, state: SymmetricState, initiation: Initiation, now: float
) -> None:
    peer = core.peers[remote.peer]
    psk = peer.preshared_keys[0] if peer.preshared_keys else NO_PSK
    ephemeral, empty = write_response(state, core.new_ephemeral(), initiation.ephemeral, remote.public_key, psk)
    receive_key, send_key = state.split()
    state.wipe()
    indices = (core.new_index(), initiation.sender)
    keypair = core.add_session(remote, identity, indices, (send_key, receive_key), now, is_initiator=False)
    core.free(peer.slots.add_as_responder(keypair))
    peer.timers.session_derived(now)
    body = Response(keypair.local_index, initiation.sender, ephemeral, empty).pack()
    core.transmit(peer, remote.cookies.add_macs(body, now))
    peer.last_sent_handshake = now
    peer.timers.any_authenticated_packet_sent(now)


def receive_response(core: Core, data: bytes, source: Endpoint, now: float) -> Peer:
    """A response to our outstanding initiation: the peer has a new current session. Raises ProtocolError."""
    message = Response.parse(data)
    outstanding = core.indices.get(message.receiver)
    if not isinstance(outstanding, Outstanding):
        raise ProtocolError(Drop.UNKNOWN_INDEX)
    peer = core.peers[outstanding.remote.peer]
    state = read_response(outstanding.state, peer.preshared_keys, message.ephemeral, message.empty)
    indices = (outstanding.local_index, message.sender)
    keypair = core.add_session(outstanding.remote, outstanding.identity, indices, state.split(), now, is_initiator=True)
    state.wipe()
    outstanding.state.symmetric.wipe()
    peer.outstanding = None
    gone = peer.slots.add_as_initiator(keypair) + peer.slots.outlived(now)
    core.free(gone)
    core.sessions_changed(peer)
    core.events.answered(peer.number, now - peer.last_sent_handshake)
    _authenticated(core, peer, data, source, now)
    peer.timers.session_derived(now)
    complete(peer, now)
    return peer


def receive_cookie_reply(core: Core, data: bytes, now: float) -> None:
    """Keep the cookie for the next handshake message; nothing is resent and nobody roams. Raises ProtocolError."""
    reply = CookieReply.parse(data)
    entry = core.indices.get(reply.receiver)
    if entry is None:
        raise ProtocolError(Drop.UNKNOWN_INDEX)
    entry.remote.cookies.consume(reply, now)


def complete(peer: Peer, now: float) -> None:
    """Both sides have the session."""
    peer.last_handshake = now
    peer.timers.handshake_complete()


def _authenticated(core: Core, peer: Peer, data: bytes, source: Endpoint, now: float) -> None:
    core.move(peer, source)
    peer.rx_bytes += len(data)
    peer.timers.any_authenticated_packet_received(now)
