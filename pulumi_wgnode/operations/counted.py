"""What hosts have counted of their gateways' peers, in all: bytes, packets, sessions, when and where they were seen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wgnode.hostd import accounts
from wgnode.hostd.accounts import Account
from wgnode.hostd.ledger import MOST_VALUES
from wgnode.hostd.parts import Refused
from wgnode.io import strict


@dataclass(frozen=True)
class Seen:
    """Where it was, and the first and the last reading at which it was there (seconds since 1970)."""

    endpoint: str
    first: float
    last: float


@dataclass(frozen=True)
class Counted:
    """In all, whatever guests there were: `rx` is what came from the peer, `sessions` are completed handshakes.
    `denied` packets the access policy did not allow; `denials` are their newest kinds (accounts.Denial). Times are
    seconds since 1970, None for never."""

    rx_bytes: int
    tx_bytes: int
    rx_packets: int
    tx_packets: int
    sessions: int
    denied: int
    first_seen: float | None
    last_seen: float | None
    endpoints: tuple[Seen, ...]
    denials: tuple[Mapping[str, Any], ...] = ()


def accounts_of(answer: str) -> Iterator[Account]:
    """Of what a host's hostd told; one that does not count tells none, and a bad one costs no other."""
    try:
        told = strict.loads(answer.encode("utf-8", "replace"), MOST_VALUES)
    except strict.Malformed:
        return
    listed = told.get("accounts") if isinstance(told, dict) else None
    for one in listed if isinstance(listed, list) else ():
        with contextlib.suppress(Refused):
            yield accounts.read(one)


def by_key(found: Iterable[Account]) -> Mapping[str, Account]:
    return {key: one for one in found for key in one.keys if one.left is None}


def counted_of(account: Account | None) -> Counted | None:
    if account is None:
        return None
    seen = tuple(Seen(*one) for one in account.endpoints)
    return Counted(
        **account.counts._asdict(),
        first_seen=account.first_seen,
        last_seen=account.last_seen,
        endpoints=seen,
        denials=tuple(one._asdict() for one in account.denials),
    )
