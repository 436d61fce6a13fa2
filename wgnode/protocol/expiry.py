"""What happens when a peer's timer is due (wp 6.1, 6.2, 6.4, 6.5)."""

from __future__ import annotations

from collections.abc import Callable

from wgnode.protocol import handshake, traffic
from wgnode.protocol.constants import MAX_HANDSHAKE_ATTEMPTS
from wgnode.protocol.peer import Peer
from wgnode.protocol.tables import Tables
from wgnode.protocol.timers import KEEPALIVE, NEW_HANDSHAKE, PERSISTENT, RETRANSMIT, ZERO_KEYS


def expire(tables: Tables, peer: Peer, now: float) -> None:
    """Act on each of the peer's timers that is due."""
    for name in peer.timers.take_due(now):
        _ACTIONS[name](tables, peer, now)


def _zero_keys(tables: Tables, peer: Peer, now: float) -> None:
    """No new session for three times REJECT_AFTER_TIME: nothing that could decrypt remains."""
    tables.end_sessions(peer, peer.slots.all())
    tables.clear_handshake(peer)


def _retransmit(tables: Tables, peer: Peer, now: float) -> None:
    """The initiation was not answered: again, with a new ephemeral key, until REKEY_ATTEMPT_TIME is over."""
    if peer.timers.attempts > MAX_HANDSHAKE_ATTEMPTS:
        tables.drop_staged(peer)
        peer.timers.handshake_given_up(now)
        return
    peer.timers.attempts += 1
    _forget_source(tables, peer)
    handshake.send_initiation(tables, peer, now)


def _new_handshake(tables: Tables, peer: Peer, now: float) -> None:
    """We sent data and heard nothing: the peer may have lost the session, or the path is gone."""
    _forget_source(tables, peer)
    handshake.want_handshake(tables, peer, now)


def _keepalive(tables: Tables, peer: Peer, now: float) -> None:
    """We received data and sent nothing back. More came meanwhile: another one later."""
    another = peer.timers.need_another_keepalive
    traffic.send_keepalive(tables, peer, now)
    peer.timers.need_another_keepalive = False
    if another:
        peer.timers.arm_keepalive(now)


def _persistent(tables: Tables, peer: Peer, now: float) -> None:
    """Keeps a NAT's mapping alive; armed first, since what is sent may be nothing (no endpoint yet)."""
    if peer.timers.persistent_keepalive:
        peer.timers.arm_persistent(now + peer.timers.persistent_keepalive)
        traffic.send_keepalive(tables, peer, now)


def _forget_source(tables: Tables, peer: Peer) -> None:
    if peer.endpoint is not None:
        tables.move(peer, peer.endpoint._replace(source=None))


_ACTIONS: dict[str, Callable[[Tables, Peer, float], None]] = {
    ZERO_KEYS: _zero_keys,
    RETRANSMIT: _retransmit,
    NEW_HANDSHAKE: _new_handshake,
    KEEPALIVE: _keepalive,
    PERSISTENT: _persistent,
}
