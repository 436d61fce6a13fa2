"""How long messages come here in one piece from a peer that nobody else asks: by echoes that are large both ways.

An ordinary search (wgnode/pathmtu/search.py) whose probes are large inside too, so that the reply is as large; a size
counts as answered where a whole message of that size has come from the peer, and not by the reply inside, which a
kernel may have put together. For a person only: it runs when somebody asks, for one peer after the other, and nothing
is done by it. What it shows goes as far as our own way there carries.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from wgnode.io.way import Way
from wgnode.io.way_told import Back
from wgnode.pathmtu import probe
from wgnode.pathmtu.batch import Send
from wgnode.pathmtu.known import Evidence, State
from wgnode.pathmtu.search import Search
from wgnode.platform import Hearing
from wgnode.protocol.constants import PADDING_MULTIPLE
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.schedule import NEVER

MOST = 16
"""Peers in one go: of more nobody looks at each."""
PATIENCE = 6.0
"""Seconds for one peer, and for its search of our own way before that."""


class _Measuring:
    """Of one way, whose own search is complete."""

    def __init__(self, way: Way, hearing: Hearing, search: Search, now: float) -> None:
        self.way, self.search, self.until = way, search, now + PATIENCE
        self._hearing = hearing
        self._open: dict[bytes, int] = {}
        search.handshake(now, way.search.round_trip if way.search else None)

    def close(self) -> None:
        self._hearing.close()

    def listen(self, now: float) -> None:
        """A reply is padded (wp 5.4.6), so it may be up to 15 bytes longer than what it answers."""
        sessions = {each.local_index for each in self.way.peer.slots.all()}
        for whole in self._hearing.read():
            for each, size in [*self._open.items()]:
                if whole.receiver in sessions and size <= whole.size < size + PADDING_MULTIPLE:
                    del self._open[each]
                    self.search.answered(now, each)

    def sends(self, now: float) -> list[tuple[Send, bytes]]:
        """Probes to send, and what is to be sealed for each."""
        return [(send, self._inner(send)) for send in self.search.poll(now)]

    def done(self, now: float) -> bool:
        return now >= self.until or self.search.state is State.COMPLETE or self.search.quiet

    def found(self) -> Back | None:
        known = self.search.known
        return Back(known.size, known.since) if known.evidence is Evidence.PROBE else None

    def _inner(self, send: Send) -> bytes:
        way = self.way
        assert way.ours is not None
        assert way.theirs is not None
        if send.size <= probe.smallest(4 if len(way.theirs) == 4 else 6, way.family):
            return probe.one_way(send.id, way.ours, way.theirs, send.size, way.family)
        self._open[send.id] = send.size
        return probe.both_ways(send.id, way.ours, way.theirs, send.size, way.family)


class WaysBack:
    """One after the other. `send` seals and sends, and gives 0 or an errno; `hear` gives None where nobody may."""

    def __init__(
        self,
        send: Callable[[Way, bytes, float], int],
        hear: Callable[[Endpoint], Hearing | None],
        random: Callable[[int], bytes],
    ) -> None:
        self._send, self._hear, self._random = send, hear, random
        self._waiting: deque[tuple[Way, float]] = deque()
        self._now: _Measuring | None = None

    def want(self, ways: Iterable[Way], now: float) -> None:
        """Somebody wants to see them, after what is searched of our own way there."""
        wanted = list(ways)
        if len(wanted) <= MOST:
            self._waiting = deque((way, now + PATIENCE * (place + 1)) for place, way in enumerate(wanted))

    def next_deadline(self) -> float:
        if self._now is not None:
            return min(self._now.search.deadline(), self._now.until)
        return self._waiting[0][1] if self._waiting else NEVER

    def answered(self, way: Way, packet: bytes, now: float) -> bool:
        """An echo reply; False where it is none of a small probe of these."""
        measuring = self._now
        if measuring is None or measuring.way is not way or way.ours is None or way.theirs is None:
            return False
        known = probe.recognise(packet, way.ours, way.theirs)
        return known is not None and measuring.search.answered(now, known)

    def poll(self, now: float) -> None:
        """Costs nothing while nothing is wanted."""
        if self._now is None and self._waiting:
            self._begin(now)
        measuring = self._now
        if measuring is None:
            return
        measuring.listen(now)
        for send, inner in measuring.sends(now):
            if self._send(measuring.way, inner, now):
                measuring.search.unsent(now, send.id)
        if measuring.way.gone or measuring.done(now):
            self._end(measuring)

    def close(self) -> None:
        """What is listened for now does not come any more."""
        self._waiting.clear()
        if self._now is not None:
            self._now.close()
            self._now = None

    def _begin(self, now: float) -> None:
        way, until = self._waiting[0]
        ready = way.complete()
        if not ready and now < until and not way.gone:
            return
        self._waiting.popleft()
        endpoint, search = way.peer.endpoint, way.search
        if not ready or endpoint is None or search is None or (hearing := self._hear(endpoint)) is None:
            return
        witness = probe.smallest(4 if way.theirs is None or len(way.theirs) == 4 else 6, way.family)
        back = Search(now, largest=search.known.size, witness=witness, random=self._random)
        self._now = _Measuring(way, hearing, back, now)

    def _end(self, measuring: _Measuring) -> None:
        measuring.close()
        self._now = None
        if not measuring.way.gone and measuring.way.complete():
            measuring.way.back = measuring.found()
