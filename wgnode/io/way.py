"""The way to one peer: what was heard of it, whom to ask, its search, and the limit that follows from what is known."""

from __future__ import annotations

from collections.abc import Callable

from wgnode.io.way_limit import family_of, limit_of, unvouched
from wgnode.io.way_told import Back, Learned, Report, Unmeasured
from wgnode.pathmtu import probe
from wgnode.pathmtu.batch import Send
from wgnode.pathmtu.known import Evidence, Guess, State, Why
from wgnode.pathmtu.said import Said
from wgnode.pathmtu.search import Search
from wgnode.pathmtu.sizes import wire_of_message
from wgnode.pathmtu.stagger import Gate
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.peer import Peer
from wgnode.protocol.plane import Activity, Limit
from wgnode.protocol.schedule import NEVER, Schedule

LATELY = 1 << 20
"""Messages of a session that somebody may still speak of: a second of them at a million a second."""


class Way:
    """Events are noted by whoever hears of them, and acted on by `catch_up`. `phase`, `gate`, `random`: see Search.

    `largest` is wire bytes: nothing larger is ever sent, so nothing larger is searched.
    """

    def __init__(
        self, peer: Peer, schedule: Schedule[Way], *, phase: float, gate: Gate, random: Callable[[int], bytes]
    ) -> None:
        self.peer, self.number = peer, peer.number
        self._schedule, self._phase, self._gate, self._random = schedule, phase, gate, random
        self.scheduled = NEVER
        self.sends = self.gone = False
        self.round_trip: float | None = None
        self.rekeyed = self.other_port = self.retarget = False
        self.ours: bytes | None = None
        self.theirs: bytes | None = None
        self.epoch = -1
        self.search: Search | None = None
        self.family = 0
        self.proven: dict[int, Learned] = {}
        self.limit: Limit | None = None
        self.back: Back | None = None
        self._endpoint: Endpoint | None = None
        self._link: int | None = None
        self._largest = self._version = 0
        self._tx = self._longest = 0
        self._too_long: tuple[int, int] | None = None  # what is said to pass, and what did not: wire bytes
        self._heard = self._vouched = self._waiting = False
        self.feed_at = NEVER
        """When the search is told of what has passed."""
        self.feeding = False

    # What is heard of

    def active(self, activity: Activity) -> None:
        """Costs each lone packet what it takes."""
        self.feeding = True
        self._tx += activity.tx_bytes
        if activity.longest > self._longest:
            self._longest = activity.longest
        self._waiting = activity.waiting_since is not None
        if activity.received_at is not None:
            self._heard = True

    def refused(self, message: int) -> None:
        """The kernel found a message of so many bytes too long for the link."""
        wire = wire_of_message(message, self.family)
        self._too_long = (wire - 1, wire)

    def too_big(self, said: Said) -> bool:
        """Somebody on the way says so; False where it is no message that we have sent to this peer of late."""
        endpoint = self.peer.endpoint
        if endpoint is None or (endpoint.address.partition("%")[0], endpoint.port) != (said.address, said.port):
            return False
        sessions = (each for each in self.peer.slots.all() if each.remote_index == said.receiver)
        if not any(each.has_sent(said.counter, LATELY) for each in sessions):
            return False
        self._too_long = (said.size, said.length)
        return True

    def busy(self) -> bool:
        """Was something sent since the last time?"""
        return self._tx > 0

    # What is done about it

    def catch_up(self, now: float, largest: int, link: int | None, guess: Callable[[int], Guess | None]) -> None:
        """`link` is the interface that packets to the peer leave by, `guess` what there is for an outer family."""
        self.feed_at, self.feeding = NEVER, False
        endpoint = self.peer.endpoint
        if endpoint is not None:
            self._place(now, endpoint, largest, link, guess)
        search = self.search
        if search is None:
            return
        if endpoint is None or self.unmeasured() is not None:
            search.disable(now)
        else:
            search.handshake(now, self.round_trip)
            if self.round_trip is not None:
                search.small_alive()
        self.round_trip = None
        self._feed(now, search)
        self._keep()

    def answer(self, packet: bytes, now: float) -> bool:
        """An echo reply; False where it is no probe's of ours."""
        if self.search is None or self.ours is None or self.theirs is None:
            return False
        known = probe.recognise(packet, self.ours, self.theirs)
        if known is None or not self.search.answered(now, known):
            return False
        self._keep()
        return True

    def poll(self, now: float) -> list[Send]:
        """Probes to send now."""
        if self.search is None:
            return []
        sends = self.search.poll(now)
        self._keep()
        return sends

    def inner(self, send: Send) -> bytes:
        """What is to be sealed for a probe."""
        assert self.ours is not None
        assert self.theirs is not None
        return probe.one_way(send.id, self.ours, self.theirs, send.size, self.family)

    def again(self, now: float) -> bool:
        """Search anew, from what is known; False where nobody can be asked."""
        if self.search is None or self.unmeasured() is not None:
            return False
        self.search.changed(now, Why.ASKED)
        self.reschedule()
        return True

    def unmeasured(self) -> Unmeasured | None:
        """Why it is not searched, None where it is."""
        if not self.sends:
            return Unmeasured.NO_SESSION
        if self.theirs is None:
            return Unmeasured.NO_TARGET
        return Unmeasured.NO_SOURCE if self.ours is None else None

    def wanted_limit(self, *, by_itself: bool) -> Limit | None:
        """What follows from what is known; None without an endpoint. `by_itself`: nobody set the interface's MTU."""
        search, endpoint = self.search, self.peer.endpoint
        if search is None:
            return None if endpoint is None else unvouched(family_of(endpoint), by_itself=by_itself, asked=True)
        if self._vouched:
            return limit_of(search.known, self.family)
        asked = self.unmeasured() is None and not search.quiet
        return unvouched(self.family, by_itself=by_itself, asked=asked)

    def complete(self) -> bool:
        """Is our way there known as exactly as it can be?"""
        search = self.search
        return search is not None and search.state is State.COMPLETE and self.proven_size() is not None

    def proven_size(self) -> int | None:
        """Wire bytes, where an answer vouches for them."""
        known = None if self.search is None else self.search.known
        return known.size if known is not None and known.evidence is Evidence.PROBE else None

    def report(self) -> Report | None:
        search, limit = self.search, self.limit
        if search is None or limit is None:
            return None
        why, unmeasured = search.why, self.unmeasured()
        return Report(
            search.known,
            search.history(),
            search.state.value,
            self.family,
            self._own(),
            limit.inner,
            None if why is None else why.value,
            None if unmeasured is None else unmeasured.value,
            search.credit.spent,
            search.round_trip,
            (search.small.sent, search.small.answered),
            self.back,
        )

    # The schedule's: see schedule.Scheduled

    def earliest(self) -> float:
        if self.gone:
            return NEVER
        return self.feed_at if self.search is None else min(self.feed_at, self.search.deadline())

    def reschedule(self) -> None:
        if (deadline := self.earliest()) < self.scheduled:
            self._schedule.add(self, deadline)

    def _place(
        self, now: float, endpoint: Endpoint, largest: int, link: int | None, guess: Callable[[int], Guess | None]
    ) -> None:
        """Where the peer is now; another way from there on if that, or how it is reached, has changed."""
        family, former = family_of(endpoint), self._endpoint
        why = self._changed(endpoint, former, link)
        self._endpoint, self.family = endpoint, family
        self._link = self._link if link is None else link
        self.rekeyed = self.other_port = False
        version = 6 if self.theirs is not None and len(self.theirs) == 16 else 4
        if self.search is None or version != self._version or largest > self._largest:
            self._begin(now, version, largest, guess(family))
        elif why is not None:
            self.back = None
            self.search.changed(now, why, guess(family) if why is Why.FAMILY else None)

    def _changed(self, endpoint: Endpoint, former: Endpoint | None, link: int | None) -> Why | None:
        if former is not None and family_of(endpoint) != family_of(former):
            return Why.FAMILY
        if former is not None and (endpoint.address, endpoint.port) != (former.address, former.port):
            return Why.ENDPOINT
        sources = {each.source for each in (endpoint, former) if each is not None and each.source is not None}
        if self.other_port or len(sources) > 1 or (link is not None and self._link not in (None, link)):
            return Why.ROUTE
        return Why.KEY if self.rekeyed else None

    def _begin(self, now: float, version: int, largest: int, guess: Guess | None) -> None:
        """A search of its own. What a former one has proven is its guess: only what can be asked has changed."""
        if self.search is not None and self.search.known.evidence is Evidence.PROBE:
            guess = Guess(self.search.known.size, Evidence.MEMORY)
        self._version, self._largest = version, largest
        self.search = Search(
            now,
            largest=largest,
            witness=probe.smallest(version, 6),
            random=self._random,
            gate=self._gate,
            phase=self._phase,
            guess=guess,
        )

    def _feed(self, now: float, search: Search) -> None:
        """What was sent, and whether anything was heard after that, or only before."""
        if self._heard and self._waiting:
            search.heard(now)
        if self._tx:
            search.sent(now, self._tx, wire_of_message(self._longest, self.family))
        if self._heard and not self._waiting:
            search.heard(now)
        if self._too_long is not None:
            search.hint(now, *self._too_long)
        self._tx = self._longest = 0
        self._heard, self._too_long = False, None

    def _keep(self) -> None:
        """What has become known meanwhile."""
        assert self.search is not None
        known = self.search.known
        self._vouched |= known.evidence is not Evidence.UNKNOWN
        if known.evidence is Evidence.PROBE:
            self.proven[self.family] = Learned(self.peer.public_key, self.family, self._own(), known.size, known.since)
        self.reschedule()

    def _own(self) -> str:
        return (self._endpoint.source if self._endpoint else None) or ""
