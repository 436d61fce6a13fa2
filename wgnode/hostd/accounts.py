"""What each peer has sent and received in all, whatever nodes, guests and starts of the host there were; pure.

A node counts from its own start. What it tells is added as the difference to what it told before, where that was the
same run of it (a number drawn at each start) and the same peer in it (`serial`), else as it is. So nothing is counted
twice, and what a node has counted since its last reading is lost with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from wgnode.hostd import parts
from wgnode.hostd.parts import Refused
from wgnode.nodeconfig import NodeConfig, PeerConfig, encode_key

KEEP = 90 * 86400.0
"""Seconds for which whoever has left the configuration is remembered: as long as a device's address rests."""
MOST = 2 * parts.MOST_PEERS
MOST_ENDPOINTS = 8
"""Of one peer, the newest."""
MOST_DENIALS, MOST_DENIALS_IN_ALL = 8, 8192
"""Of one peer, and of all of them: the newest."""
LARGEST_COUNT = (1 << 64) - 1


class Counts(NamedTuple):
    """Bytes of UDP payload of authenticated messages, packets within, and sessions (completed handshakes). `rx` is what
    came from the peer. `denied` are packets from it, or to it, that the access policy did not allow."""

    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_packets: int = 0
    tx_packets: int = 0
    sessions: int = 0
    denied: int = 0

    def grown(self, since: Counts) -> Counts:
        return Counts(*(max(0, now - before) for now, before in zip(self, since, strict=True)))

    def plus(self, more: Counts) -> Counts:
        return Counts(*(min(LARGEST_COUNT, had + new) for had, new in zip(self, more, strict=True)))


NOTHING = Counts()


class Seen(NamedTuple):
    """Where a peer was, and the first and the last reading at which it was there (seconds since 1970)."""

    endpoint: str
    first: float
    last: float


class Denial(NamedTuple):
    """Packets of one kind, as the node that denied them has counted them, and when the last were found (seconds since
    1970). `rule` is a policy.model.Reason."""

    outgoing: bool
    rule: str
    source: str
    destination: str
    protocol: int
    port: int
    packets: int
    at: float


class Reading(NamedTuple):
    """What the running node told last of a peer."""

    serial: int
    counts: Counts


@dataclass(frozen=True)
class Account:
    """`keys` are those that the configuration has (base64), `former` the ones before. Times are seconds since 1970, by
    the host's clock: `first_seen` and `last_seen` of a handshake, or of a reading that found more received, None for
    never; `left` of leaving the configuration."""

    name: str
    keys: tuple[str, ...]
    former: tuple[str, ...] = ()
    counts: Counts = NOTHING
    first_seen: float | None = None
    last_seen: float | None = None
    endpoints: tuple[Seen, ...] = ()
    left: float | None = None
    reading: Reading | None = None
    denials: tuple[Denial, ...] = ()

    def told(self) -> dict[str, Any]:
        """For whoever asks."""
        return {
            "name": self.name,
            "keys": list(self.keys),
            **self.counts._asdict(),
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
            "endpoints": [list(one) for one in self.endpoints],
            "left": self.left,
            "denials": [one._asdict() for one in self.denials],
        }

    def kept(self) -> dict[str, Any]:
        """For the file."""
        reading = None if self.reading is None else [self.reading.serial, *self.reading.counts]
        return {**self.told(), "former": list(self.former), "reading": reading}


class Accounts:
    """Of all peers that the gateway's configuration has, or has had not long ago. `run` is the node's that was read
    last."""

    def __init__(self, run: str = "", accounts: Iterable[Account] = ()) -> None:
        self.run = run
        self._accounts = dict(enumerate(accounts))
        self._of_key = _index(self._accounts)
        self._config: NodeConfig | None = None

    def __iter__(self) -> Iterator[Account]:
        return iter(self._accounts.values())

    @property
    def of(self) -> tuple[str, str]:
        """The run, and the configuration's digest, that they are of now."""
        return self.run, self._config.digest if self._config else ""

    def update(self, report: Mapping[str, Any], config: NodeConfig | None, wall: float) -> bool:
        """Add what a node tells (its health, judged); whether anything is different. `config` is the layer on the host,
        which knows the peers. One that it has just lost is read for the last time."""
        before, former = self._of_key, self.of
        peers = [one for one in report.get("peers") or () if "serial" in one]
        if "run" not in report:  # a version that counts, but does not tell one start from another
            peers = []
        elif report["run"] != self.run:
            self.run = report["run"]
            self._accounts = {number: replace(one, reading=None) for number, one in self._accounts.items()}
        different = self._add(before, peers, wall)
        if config is not None and config is not self._config:
            self._follow(config, wall)
            self._add(self._of_key, [one for one in peers if one["public_key"] not in before], wall)
        self._bound_denials()
        return different or self.of != former

    def _bound_denials(self) -> None:
        """Those of an account are in the order of their times."""
        all_of_them = [(one.at, number) for number, account in self._accounts.items() for one in account.denials]
        for number, gone in Counter(number for _, number in sorted(all_of_them)[:-MOST_DENIALS_IN_ALL]).items():
            account = self._accounts[number]
            self._accounts[number] = replace(account, denials=account.denials[gone:])

    def _add(self, of_key: Mapping[str, int], peers: Iterable[Mapping[str, Any]], wall: float) -> bool:
        different = False
        for peer in peers:
            if (number := of_key.get(peer["public_key"])) is not None:
                account = self._accounts[number]
                self._accounts[number] = new = added(account, peer, wall)
                different |= new is not account
        return different

    def _follow(self, config: NodeConfig, wall: float) -> None:
        """An account goes on under another name or key of the same peer, as long as one of both is the same."""
        self._config = config
        claimed: dict[int, PeerConfig] = {}
        unknown = []
        configured = {key: number for number, one in self._accounts.items() for key in one.keys}
        for peer in config.everybody:
            numbers = (configured.get(key) for key in _keys(peer))
            number = next((one for one in numbers if one is not None and one not in claimed), None)
            if number is None:
                unknown.append(peer)
            else:
                claimed[number] = peer
        named = {one.name: number for number, one in self._accounts.items() if number not in claimed}
        following = max(self._accounts, default=-1) + 1
        for peer in unknown:
            number = named.pop(peer.name, None)
            if number is None:
                number, following = following, following + 1
            claimed[number] = peer
        gone = {number: _left(one, wall) for number, one in self._accounts.items() if number not in claimed}
        there = {number: _of(peer, self._accounts.get(number)) for number, peer in claimed.items()}
        self._accounts = {**_bounded(gone, MOST - len(there), wall), **there}
        self._of_key = _index(self._accounts)


def added(account: Account, peer: Mapping[str, Any], wall: float) -> Account:
    """With what the running node tells of the peer; itself where that is nothing new. `wall` is now, by the host's
    clock."""
    counts, before = Counts(*(peer.get(name, 0) for name in Counts._fields)), account.reading
    same = before is not None and before.serial == peer["serial"]
    if before == Reading(peer["serial"], counts):
        return account
    grown = counts.grown(before.counts if before and same else NOTHING)
    moments = [account.last_seen, wall if same and grown.rx_bytes else None, peer.get("last_handshake")]
    seen = max((min(one, wall) for one in moments if one is not None), default=None)
    return replace(
        account,
        counts=account.counts.plus(grown),
        first_seen=seen if account.first_seen is None else account.first_seen,
        last_seen=seen,
        endpoints=account.endpoints if seen == account.last_seen else _been(account.endpoints, peer, seen),
        reading=Reading(peer["serial"], counts),
        denials=_denied(account.denials, peer.get("denials", ()), wall),
    )


def read(raw: Any) -> Account:
    """One that was told, or kept. Raises Refused."""
    given = parts.exactly(raw, dict, "an account")
    moment = parts.optional(parts.real)
    reading = [parts.count(one) for one in parts.entries(given.get("reading") or [], "reading", 1 + len(NOTHING))]
    if len(reading) == len(NOTHING):
        reading.append(0)  # of a version that counted no denials
    if reading and len(reading) != 1 + len(NOTHING):
        raise Refused("reading: not all of it")
    listed = parts.entries(given.get("denials", []), "denials", MOST_DENIALS)
    return Account(
        parts.label(given.get("name")),
        tuple(parts.keys(given.get("keys"))),
        tuple(parts.keys(given.get("former", []))),
        Counts(*(parts.named(name, parts.count, {"denied": 0, **given}.get(name)) for name in Counts._fields)),
        moment(given.get("first_seen")),
        moment(given.get("last_seen")),
        tuple(_seen(one) for one in parts.entries(given.get("endpoints"), "endpoints", MOST_ENDPOINTS)),
        moment(given.get("left")),
        Reading(reading[0], Counts(*reading[1:])) if reading else None,
        tuple(Denial(**parts.named("denials", parts.denial, one)) for one in listed),
    )


def _seen(raw: Any) -> Seen:
    endpoint, first, last = [*parts.entries(raw, "endpoints", 3), None, None, None][:3]
    return Seen(parts.endpoint(endpoint), parts.real(first), parts.real(last))


def _been(before: tuple[Seen, ...], peer: Mapping[str, Any], at: float | None) -> tuple[Seen, ...]:
    """With where it is at that time, as the last; the newest are kept."""
    if (endpoint := peer.get("endpoint")) is None or at is None:
        return before
    known = next((one for one in before if one.endpoint == endpoint), None)
    others = [one for one in before if one.endpoint != endpoint]
    return (*others, Seen(endpoint, known.first if known else at, at))[-MOST_ENDPOINTS:]


def _denied(before: tuple[Denial, ...], told: Iterable[Mapping[str, Any]], wall: float) -> tuple[Denial, ...]:
    """With what the running node tells, none later than now."""
    fresh = [Denial(**{**one, "at": min(one["at"], wall)}) for one in told]
    others = [one for one in before if one[:6] not in {new[:6] for new in fresh}]
    return tuple(sorted([*others, *fresh], key=lambda one: one.at)[-MOST_DENIALS:])


def _keys(peer: PeerConfig) -> tuple[str, ...]:
    return tuple(encode_key(key) for key in peer.public_keys)


def _of(peer: PeerConfig, account: Account | None) -> Account:
    keys = _keys(peer)
    if account is None:
        return Account(peer.name, keys)
    former = tuple(key for key in (*account.keys, *account.former) if key not in keys)[:2]
    return replace(account, name=peer.name, keys=keys, former=former, left=None)


def _left(account: Account, wall: float) -> Account:
    return account if account.left is not None else replace(account, left=wall)


def _bounded(gone: Mapping[int, Account], most: int, wall: float) -> dict[int, Account]:
    """Those that left last, and not too long ago."""
    recent = sorted((one.left or 0.0, number) for number, one in gone.items() if wall - (one.left or 0.0) < KEEP)
    return {number: gone[number] for _, number in recent[max(0, len(recent) - most) :]}


def _index(accounts: Mapping[int, Account]) -> dict[str, int]:
    """Whose a key is: a configured one counts before one that somebody had."""
    former = {key: number for number, one in accounts.items() for key in one.former}
    gone = {key: number for number, one in accounts.items() if one.left is not None for key in one.keys}
    there = {key: number for number, one in accounts.items() if one.left is None for key in one.keys}
    return {**former, **gone, **there}
