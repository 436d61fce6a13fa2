"""Which peers are judged by what class of the access policy, and what was denied to each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from wgnode.policy.model import MOST_DENIALS, Denial, FlowFigures, Policy
from wgnode.protocol.peer import Peer
from wgnode.protocol.tables import Tables

MOST_TOLD = 8
"""Different denials that are remembered of a peer: the newest. Of all together there are MOST_DENIALS at most."""

What = tuple[bool, str, bytes, bytes, int, int]
"""A denial's `outgoing`, `rule`, `source`, `destination`, `protocol` and `port`."""


class Told(NamedTuple):
    """Denied packets, and when the last of them were found (seconds, the clock of `now`)."""

    packets: int
    at: float


class Denied(NamedTuple):
    """All packets that were denied to a peer, or to reach it, and the newest of them by what they were."""

    packets: int = 0
    told: Mapping[What, Told] = {}


NONE = Denied()


class Access:
    """Of one device. Classes are by public key, so that they hold for peers that are added later."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._classes: Mapping[bytes, int] = {}
        self._denied: dict[int, Denied] = {}
        self._remembered: dict[tuple[int, What], None] = {}  # the newest last

    @property
    def flows(self) -> FlowFigures:
        return self._tables.plane.flows

    def set_policy(self, policy: Policy | None, classes: Mapping[bytes, int]) -> None:
        """At once, for all peers. One that none of `classes` names is judged by nothing."""
        self._classes = classes if policy is not None else {}
        numbered = ((peer.number, self._class(peer)) for peer in self._tables.peers.values())
        self._tables.plane.set_policy(policy, {number: one for number, one in numbered if one is not None})

    def classify(self, peer: Peer) -> None:
        """It is new, or has other keys."""
        if self._classes:
            self._tables.plane.set_class(peer.number, self._class(peer))

    def forget(self, peer: Peer) -> None:
        """It is no peer any more."""
        self._denied.pop(peer.number, None)

    def judges(self, peer: Peer) -> bool:
        """Whether its packets are judged, so that it is a device."""
        return self._class(peer) is not None

    def collect(self, now: float) -> list[Denial]:
        """What the plane has denied since the last call, which counts for its peers from now on."""
        denials = [one for one in self._tables.plane.take_denials() if one.peer in self._tables.peers]
        for one in denials:
            self._denied[one.peer] = _added(self._denied.get(one.peer, NONE), one, now)
            self._remember((one.peer, one[1:-1]))
        return denials

    def denied(self, peer: Peer) -> Denied:
        """As far as it was collected."""
        return self._denied.get(peer.number, NONE)

    def _remember(self, newest: tuple[int, What]) -> None:
        self._remembered.pop(newest, None)
        self._remembered[newest] = None
        if len(self._remembered) > MOST_DENIALS:
            peer, what = oldest = next(iter(self._remembered))
            del self._remembered[oldest]
            if (known := self._denied.get(peer)) is not None:
                told = {one: told for one, told in known.told.items() if one != what}
                self._denied[peer] = known._replace(told=told)

    def _class(self, peer: Peer) -> int | None:
        return next((self._classes[key] for key in peer.public_keys if key in self._classes), None)


def _added(before: Denied, denial: Denial, now: float) -> Denied:
    what, packets = denial[1:-1], denial.packets
    others = [(one, told) for one, told in before.told.items() if one != what]
    known = before.told.get(what, Told(0, now)).packets
    return Denied(before.packets + packets, dict([*others, (what, Told(known + packets, now))][-MOST_TOLD:]))
