"""Takes addresses in a LAN and holds them: asks first whether anybody has each, answers for it, and gives way.

RFC 5227 (and RFC 4862 section 5.4 for IPv6, which is treated alike): an address that another machine has is never
fought over, but tried again later. `now` is seconds that never step back.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from wgnode.responder.packets import Address, Kind, Said, announcement, answer, heard, probe

PROBE_WAIT = 1.0
PROBE_NUM = 3
PROBE_MIN = 1.0
PROBE_MAX = 2.0
ANNOUNCE_WAIT = 2.0
ANNOUNCE_NUM = 2
ANNOUNCE_INTERVAL = 2.0
DEFEND_INTERVAL = 10.0
"""Seconds, and numbers, of RFC 5227 section 1.1."""
TRY_AGAIN = 60.0
"""Seconds until an address that another machine had is probed again: its RATE_LIMIT_INTERVAL."""
STARTS_PER_SECOND = 100
"""Addresses that begin to be probed, of many that come at once."""


NEVER = float("inf")


class State(Enum):
    PROBING = "probing"
    HELD = "held"
    TAKEN = "taken"
    """By another machine."""


@dataclass
class _Held:
    state: State
    due: float
    """When the next probe or announcement goes out, or it is tried again; never, once all is said."""
    said: int = 0
    """Probes, then announcements, that went out."""
    defended: float = -DEFEND_INTERVAL
    by: bytes = b""
    """Whose it is, or was when it was last seen: also while it is tried again."""


class Guard:
    """`mac` is that of our card, `random` gives 0 to 1. After each call take `frames` and mind `next_deadline`."""

    def __init__(self, mac: bytes, random: Callable[[], float]) -> None:
        self._mac, self._random = mac, random
        self._addresses: dict[Address, _Held] = {}
        self._deadlines: list[tuple[float, int, Address]] = []
        self._out: list[bytes] = []
        self._order = itertools.count()

    @property
    def taken(self) -> dict[Address, bytes]:
        """Addresses that another machine has, with its MAC."""
        return {address: one.by for address, one in self._addresses.items() if one.by}

    def state(self, address: Address) -> State | None:
        one = self._addresses.get(address)
        return None if one is None else one.state

    def want(self, addresses: Iterable[Address], now: float) -> None:
        """Exactly these from now on. What goes is answered for no more; what stays goes on."""
        wanted = dict.fromkeys(addresses)
        for address in self._addresses.keys() - wanted.keys():
            del self._addresses[address]
        fresh = [address for address in wanted if address not in self._addresses]
        spread = max(PROBE_WAIT, len(fresh) / STARTS_PER_SECOND)
        for address in fresh:
            self._addresses[address] = _Held(State.PROBING, NEVER)
            self._arm(address, now + self._random() * spread)

    def receive(self, frame: bytes, now: float) -> None:
        """A frame of the LAN, ours among them."""
        for said in heard(frame):
            one = self._addresses.get(said.address)
            if one is not None and said.by != self._mac:
                self._hear(said, one, now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        while self._deadlines and self._deadlines[0][0] <= now:
            due, _, address = heapq.heappop(self._deadlines)
            one = self._addresses.get(address)
            if one is not None and one.due == due:
                self._next(address, one, now)

    def next_deadline(self) -> float | None:
        """When `handle_timer` has something to do."""
        while self._deadlines:
            due, _, address = self._deadlines[0]
            one = self._addresses.get(address)
            if one is not None and one.due == due:
                return due
            heapq.heappop(self._deadlines)
        return None

    def frames_to_send(self) -> list[bytes]:
        """In order, handed over once."""
        out, self._out = self._out, []
        return out

    def _hear(self, said: Said, one: _Held, now: float) -> None:
        if one.state is State.HELD:
            if said.kind is Kind.CLAIMED:
                return self._defend(said, one, now)
            self._out.append(answer(self._mac, said))
        elif one.state is State.PROBING:
            if said.kind is not Kind.ASKED:
                self._give_way(said, one, now)
            elif not said.to_all:  # to our MAC alone: somebody knows it from the gateway before
                self._out.append(answer(self._mac, said))
        elif said.kind is not Kind.ASKED:
            one.by = said.by

    def _defend(self, said: Said, one: _Held, now: float) -> None:
        """Section 2.4, (b): once, and who claims it again has it."""
        if now - one.defended < DEFEND_INTERVAL:
            return self._give_way(said, one, now)
        one.defended = now
        self._out.append(announcement(self._mac, said.address))

    def _give_way(self, said: Said, one: _Held, now: float) -> None:
        one.state, one.by, one.said = State.TAKEN, said.by, 0
        self._arm(said.address, now + TRY_AGAIN)

    def _next(self, address: Address, one: _Held, now: float) -> None:
        if one.state is State.HELD:
            self._announce(address, one, now)
        elif one.state is State.PROBING and one.said == PROBE_NUM:
            one.state, one.said, one.by = State.HELD, 0, b""
            self._announce(address, one, now)
        else:
            self._probe(address, one, now)

    def _probe(self, address: Address, one: _Held, now: float) -> None:
        one.state = State.PROBING
        one.said += 1
        self._out.append(probe(self._mac, address))
        more = one.said < PROBE_NUM
        self._arm(address, now + (PROBE_MIN + self._random() * (PROBE_MAX - PROBE_MIN) if more else ANNOUNCE_WAIT))

    def _announce(self, address: Address, one: _Held, now: float) -> None:
        one.said += 1
        self._out.append(announcement(self._mac, address))
        self._arm(address, now + ANNOUNCE_INTERVAL if one.said < ANNOUNCE_NUM else NEVER)

    def _arm(self, address: Address, due: float) -> None:
        self._addresses[address].due = due
        if due != NEVER:
            heapq.heappush(self._deadlines, (due, next(self._order), address))
