"""The ways to a device's peers: a search of path MTU for each (wgnode/pathmtu/), fed, served and acted on.

Sans-IO as the device: the shell hands in the time and what sends probes, and calls `flush` after all that it does with
the device. What a limit does to packets is the planes' affair (plane.Limit).
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable, Iterable, Mapping

from wgnode.io.ground import Ground
from wgnode.io.way import Way
from wgnode.io.way_limit import target_of
from wgnode.io.way_told import Learned
from wgnode.io.ways_back import WaysBack
from wgnode.pathmtu.batch import Send
from wgnode.pathmtu.known import Evidence, Guess
from wgnode.pathmtu.ladder import RUNGS
from wgnode.pathmtu.said import Said
from wgnode.pathmtu.sizes import OVERHEAD
from wgnode.pathmtu.stagger import Stagger
from wgnode.protocol.device import Device
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.peer import Peer
from wgnode.protocol.plane import Activity, Echo
from wgnode.protocol.schedule import NEVER, Schedule

SETTING, OFF = "WGNODE_PATH_MTU", "off"
"""Environment, in a gateway the kernel's command line: `off`, and nothing is searched and all goes without DF."""
MOST_AT_ONCE = 32
"""Ways that are looked after before all else has its turn: some 3 ms."""
FEED = 0.05
"""Seconds until a search is told of what has passed: a lone packet should not pay for that."""


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether to search. Raises ValueError for a setting that means nothing."""
    said = environment.get(SETTING, "")
    if said not in ("", "on", OFF):
        raise ValueError(f"{SETTING}={said!r}: write {OFF}, or nothing")
    return said != OFF


class Paths:
    """Hears of all that happens to peers (see PeerEvents). `random(n)` gives n random bytes.

    `profile` is what is said of the network that we send into, for peers of which nothing better is known.
    """

    def __init__(
        self, device: Device, ground: Ground, random: Callable[[int], bytes], profile: Guess | None = None
    ) -> None:
        self._device, self._ground, self._random, self.profile = device, ground, random, profile
        self._plane = device.plane
        self._ways: dict[int, Way] = {}
        self._touched: dict[int, Way] = {}
        self._fed: list[Way] = []
        self._schedule: Schedule[Way] = Schedule()
        self._gate = Stagger()
        self._offered: dict[tuple[bytes, int], Learned] = {}
        self._epoch = 0
        self._by_itself = False
        self.raise_mtu: Callable[[int], None] | None = None
        """While nobody has set the interface's MTU: make it as large as a way has shown to need."""
        self._back = WaysBack(self._send_inner, ground.hear, random)
        device.tell(self)

    def way(self, peer: Peer) -> Way | None:
        """None before the first session."""
        return self._ways.get(peer.number)

    @property
    def mtu_follows(self) -> bool:
        """Nobody has set the interface's MTU, so it is what the best way may need, and bounds the others' packets no
        more: their limits have to, from the beginning on."""
        return self._by_itself

    @mtu_follows.setter
    def mtu_follows(self, by_itself: bool) -> None:
        self._by_itself = by_itself
        for way in self._ways.values():
            self._limit(way)

    def offer(self, learned: Iterable[Learned]) -> None:
        """What was known in a former life: a first guess for the peers of which nothing is known yet."""
        self._offered |= {(each.public_key, each.family): each for each in learned}

    def learned(self) -> list[Learned]:
        """What a next life should know: of each peer and outer family the newest value that an answer has proven."""
        known = dict(self._offered)
        for way in self._ways.values():
            known |= {(each.public_key, each.family): each for each in way.proven.values()}
        return list(known.values())

    def next_deadline(self, before: float = NEVER) -> float | None:
        """When to call `flush` at the latest, None for not `before` that time; see Device.next_deadline."""
        if self._touched:
            return 0.0 if before > 0.0 else None
        back = self._back.next_deadline()
        scheduled = self._schedule.next_deadline(min(before, back))
        return scheduled if scheduled is not None or back >= before else back

    def flush(self, now: float) -> None:
        """Do what follows from what was heard, and what is due, of MOST_AT_ONCE ways: the rest is due at once.

        Each packet asks, so where there is nothing to do it costs next to nothing.
        """
        for echo in self._plane.take_echoes():
            self._echo(echo, now)
        if self._fed:
            self._plan_feeding(now)
        if self._touched:
            for number in [*itertools.islice(self._touched, MOST_AT_ONCE)]:
                self._catch_up(self._touched.pop(number), now)
        if self._schedule.is_due(now):
            self._serve(now)
        self._back.poll(now)

    def _echo(self, echo: Echo, now: float) -> None:
        way = self._ways.get(echo.peer)
        if way is None or not (way.answer(echo.packet, now) or self._back.answered(way, echo.packet, now)):
            return self._device.deliver_echo(echo)
        self._touched[way.number] = way

    def _plan_feeding(self, now: float) -> None:
        for way in self._fed:
            way.feed_at = now + FEED
            way.reschedule()
        self._fed.clear()

    def _serve(self, now: float) -> None:
        for way in self._schedule.due(now, MOST_AT_ONCE):
            if way.gone:
                continue
            if way.feed_at <= now:
                self._catch_up(way, now)
            for send in way.poll(now):
                self._send(way, send, now)
            self._limit(way)

    def routing_changed(self) -> int:
        """Addresses, routes or links are others: each way is looked at as soon as it is used, and at once those that
        could not be searched. How many those are."""
        self._epoch += 1
        unsearched = {number: way for number, way in self._ways.items() if way.sends and way.ours is None}
        self._touched |= unsearched
        return len(unsearched)

    def sockets_closed(self) -> None:
        """Nothing is sent, and nothing is listened for."""
        self._back.close()

    def sockets_changed(self) -> None:
        """We send from another port."""
        for way in self._ways.values():
            way.other_port = way.sends
        self._touched |= self._ways

    def again(self, key: bytes | None, now: float) -> int:
        """Somebody wants the way to the peer of this public key, or all ways, searched anew, and where they are few the
        ways back. How many are."""
        ways = [way for way in self._ways.values() if key in (None, *way.peer.public_keys) and way.again(now)]
        self._back.want(ways, now)
        return len(ways)

    def refused(self, messages: Mapping[Endpoint, int]) -> None:
        """The kernel found messages of so many bytes too long for the link to these endpoints."""
        at = {endpoint[:2]: size for endpoint, size in messages.items()}
        for way in self._ways.values():
            endpoint = way.peer.endpoint
            if endpoint is not None and endpoint[:2] in at:
                way.refused(at[endpoint[:2]])
                self._touched[way.number] = way

    def too_big(self, said: Iterable[Said]) -> None:
        """ICMP about datagrams of ours: a reason to look, where it cites one that was sent to that peer of late."""
        for each in said:
            for way in self._ways.values():
                if way.too_big(each):
                    self._touched[way.number] = way

    # What the device tells: see PeerEvents

    def session(self, peer: int, sends: bool) -> None:
        way = self._ways.get(peer)
        if way is None and sends:
            way = self._ways[peer] = self._new(self._device.peer_numbered(peer))
            self._limit(way)  # before anything that waited for this session is sent
        if way is not None:
            way.sends = sends
            self._touched[peer] = way

    def answered(self, peer: int, round_trip: float) -> None:
        if (way := self._touch(peer)) is not None:
            way.round_trip = round_trip

    def moved(self, peer: int) -> None:
        self._touch(peer)

    def rekeyed(self, peer: int) -> None:
        if (way := self._touch(peer)) is not None:
            way.rekeyed = True

    def routed(self, peer: int) -> None:
        if (way := self._touch(peer)) is not None:
            way.retarget = True

    def removed(self, peer: int) -> None:
        self._touched.pop(peer, None)
        if (way := self._ways.pop(peer, None)) is not None:
            way.gone = True  # so the schedule forgets it

    def active(self, activity: Activity) -> None:
        if (way := self._ways.get(activity.peer)) is not None:
            if not way.feeding:
                self._fed.append(way)
            way.active(activity)

    def _touch(self, peer: int) -> Way | None:
        way = self._ways.get(peer)
        if way is not None:
            self._touched[peer] = way
        return way

    def _new(self, peer: Peer) -> Way:
        phase = int.from_bytes(self._random(4), "big") / 2**32
        return Way(peer, self._schedule, phase=phase, gate=self._gate, random=self._random)

    def _catch_up(self, way: Way, now: float) -> None:
        link = None
        if way.sends and ((way.epoch != self._epoch and (way.busy() or way.ours is None)) or way.retarget):
            link = self._look(way)
        way.catch_up(now, self._largest(link), link, lambda family: self._guess(way.peer, family))
        self._limit(way)

    def _largest(self, link: int | None) -> int:
        """Wire bytes that a search by this interface goes up to: what ours may send, or where that follows may come to
        send."""
        usual = self._device.mtu + OVERHEAD[6]
        if link is None or self.raise_mtu is None:
            return usual
        return max(usual, min(self._ground.link_mtu(link) or 0, RUNGS[-1]))

    def _look(self, way: Way) -> int | None:
        """Ask of what may have changed with routing and networks; the interface that its packets leave by."""
        way.epoch, way.retarget = self._epoch, False
        theirs = target_of(way.peer)
        ours = None if theirs is None else self._ground.own_address(theirs)
        if (ours, theirs) != (way.ours, way.theirs):
            way.ours, way.theirs = ours, theirs
            self._device.set_echo(way.peer, None if ours is None or theirs is None else (ours, theirs))
        endpoint = way.peer.endpoint
        return None if endpoint is None else self._ground.leaves_by(endpoint)

    def _guess(self, peer: Peer, family: int) -> Guess | None:
        """Memory of this very way before what is said of the network."""
        for key in peer.public_keys:
            known = self._offered.get((key, family))
            source = peer.endpoint.source if peer.endpoint else None
            if known is not None and (source is None or known.own in ("", source)):
                return Guess(known.size, Evidence.MEMORY)
        return self.profile

    def _send(self, way: Way, send: Send, now: float) -> None:
        search = way.search
        assert search is not None
        problem = self._send_inner(way, way.inner(send), now)
        if problem == errno.EMSGSIZE:
            search.refused(now, send.id)
        elif problem:
            search.unsent(now, send.id)

    def _send_inner(self, way: Way, inner: bytes, now: float) -> int:
        """0, or the errno."""
        sealed = self._device.probe(way.peer, inner, now)
        return errno.ENOTCONN if sealed is None else self._ground.probe(*sealed)

    def _limit(self, way: Way) -> None:
        limit = way.wanted_limit(by_itself=self._by_itself)
        if limit is not None and limit != way.limit:
            way.limit = limit
            self._device.set_limit(way.peer, limit)
            if way.peer.endpoint is not None:
                self._ground.fragment_at(way.peer.endpoint, way.proven_size())
            if self.raise_mtu is not None and way.proven_size() is not None and limit.inner > self._device.mtu:
                self.raise_mtu(limit.inner)
