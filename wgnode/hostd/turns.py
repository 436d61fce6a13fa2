"""Which address of its endpoint's name a peer is called at. Pure.

A peer that is met is left alone, wherever it has roamed to. One that is silent gets its name's address again; and where
it is called there in vain, each other address of the name has its turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

SESSION_LIFETIME = 180.0
"""Seconds after which a peer without a new handshake is out of reach (REJECT_AFTER_TIME)."""
TURN = 30.0
"""Seconds that an address is called before the next one's turn: six handshake initiations (REKEY_TIMEOUT)."""


@dataclass(frozen=True)
class Seen:
    """A peer as the guest tells of it: where it is called, its last handshake (seconds since 1970), bytes sent."""

    endpoint: str | None
    last_handshake: float | None
    sent: int | None = None

    def silent(self, now: float) -> bool:
        return self.last_handshake is None or now - self.last_handshake > SESSION_LIFETIME


@dataclass(frozen=True)
class Turn:
    """The address that was set last in this guest, and since when (seconds since 1970) and at how many bytes sent
    nothing is known to have come of it."""

    address: str
    since: float
    sent: int | None = None


def due(
    named: Mapping[str, str],
    resolved: Mapping[str, tuple[str, ...]],
    turns: Mapping[str, Turn],
    seen: Mapping[str, Seen],
    now: float,
) -> dict[str, str]:
    """Which peers (by public key) get which endpoint now. `named` has their names, `resolved` the names' addresses."""
    wanted = {}
    for key, name in named.items():
        addresses = resolved.get(name)
        if addresses and (address := _wanted(addresses, turns.get(key), seen.get(key), now)):
            wanted[key] = address
    return wanted


def renewed(turns: Mapping[str, Turn], seen: Mapping[str, Seen], now: float) -> dict[str, Turn]:
    """A turn is not over while its peer is met, nor while nobody calls there: what counts begins after that."""
    return {
        key: turn if (peer := seen.get(key)) is None or peer.silent(now) else replace(turn, since=now, sent=peer.sent)
        for key, turn in turns.items()
    }


def _wanted(addresses: tuple[str, ...], turn: Turn | None, peer: Seen | None, now: float) -> str | None:
    if turn is None:
        return addresses[0]
    if peer is None:  # not told of since its endpoint was set
        return None if turn.address in addresses else addresses[0]
    if not peer.silent(now):
        return None
    at = peer.endpoint or turn.address
    if at not in addresses:
        return turn.address if turn.address in addresses else addresses[0]
    called = peer.sent is None or turn.sent is None or peer.sent > turn.sent
    if len(addresses) == 1 or now - turn.since < TURN or not called:
        return None
    return addresses[(addresses.index(at) + 1) % len(addresses)]
