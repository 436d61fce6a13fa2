"""What happens when a peer's timer is due (wp 6.1, 6.2, 6.4, 6.5)."""

from __future__ import annotations

from collections.abc import Callable

from wgnode.protocol import handshake, traffic
from wgnode.protocol.constants import MAX_HANDSHAKE_ATTEMPTS
from wgnode.protocol.core import Core
from wgnode.protocol.peer import Peer
from wgnode.protocol.timers import KEEPALIVE, NEW_HANDSHAKE, PERSISTENT, RETRANSMIT, ZERO_KEYS


def expire(core: Core, peer: Peer, now: float) -> None:
    """Act on each of the peer's timers that is due."""
    for name in peer.timers.take_due(now):
        _ACTIONS[name](core, peer, now)


def _zero_keys(core: Core, peer: Peer, now: float) -> None:
    """No new session for three times REJECT_AFTER_TIME: nothing that could decrypt remains."""
    core.end_sessions(peer, peer.slots.all())
    core.clear_handshake(peer)


def _retransmit(core: Core, peer: Peer, now: float) -> None:
    """The initiation was not answered: again, with a new ephemeral key, until REKEY_ATTEMPT_TIME is over."""
    if peer.timers.attempts > MAX_HANDSHAKE_ATTEMPTS:
        core.drop_staged(peer)
        peer.timers.handshake_given_up(now)
        return
    peer.timers.attempts += 1
    _forget_source(core, peer)
    handshake.send_initiation(core, peer, now)


def _new_handshake(core: Core, peer: Peer, now: float) -> None:
    """We sent data and heard nothing: the peer may have lost the session, or the path is gone."""
    _forget_source(core, peer)
    handshake.want_handshake(core, peer, now)


def _keepalive(core: Core, peer: Peer, now: float) -> None:
    """We received data and sent nothing back. More came meanwhile: another one later."""
    another = peer.timers.need_another_keepalive
    traffic.send_keepalive(core, peer, now)
    peer.timers.need_another_keepalive = False
    if another:
        peer.timers.arm_keepalive(now)


def _persistent(core: Core, peer: Peer, now: float) -> None:
    """Keeps a NAT's mapping alive; armed first, since what is sent may be nothing (no endpoint yet)."""
    if peer.timers.persistent_keepalive:
        peer.timers.arm_persistent(now + peer.timers.persistent_keepalive)
        traffic.send_keepalive(core, peer, now)


def _forget_source(core: Core, peer: Peer) -> None:
    if peer.endpoint is not None:
        core.move(peer, peer.endpoint._replace(source=None))


_ACTIONS: dict[str, Callable[[Core, Peer, float], None]] = {
    ZERO_KEYS: _zero_keys,
    RETRANSMIT: _retransmit,
    NEW_HANDSHAKE: _new_handshake,
    KEEPALIVE: _keepalive,
    PERSISTENT: _persistent,
}
