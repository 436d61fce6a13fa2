"""The search for one peer's path MTU in one direction (RFC 8899), as a machine of events and deadlines.

The shell tells what happens, sends what `poll` returns, and calls it again at `deadline()`, which every event may
change. `known` is what to send by, at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wgnode.pathmtu.batch import Batch, Send, Step
from wgnode.pathmtu.bracket import MAX_PROBES
from wgnode.pathmtu.credit import Credit
from wgnode.pathmtu.keep import Facts, Keep
from wgnode.pathmtu.known import Guess, Known, State, Why
from wgnode.pathmtu.silence import Silence
from wgnode.pathmtu.small import Small
from wgnode.pathmtu.stagger import Gate, at_once
from wgnode.pathmtu.underway import UnderWay
from wgnode.pathmtu.value import Value
from wgnode.protocol.schedule import NEVER

MIN_RESTART = 0.25
"""Seconds between two beginnings: a peer that roams with every packet costs no more."""


class Search:
    """All sizes are wire bytes, all times seconds of one clock that never goes back.

    `largest` is what our own link (and receive buffers) can do, `witness` the small probe that can be built,
    `random(n)` gives n random bytes for ids that nobody can guess, `phase` (0 to 1) parts this peer's raise timer from
    others', and `gate` parts their beginnings. Raises ValueError for a witness that is not smaller than the link.
    """

    def __init__(
        self,
        now: float,
        *,
        largest: int,
        witness: int,
        random: Callable[[int], bytes],
        gate: Gate = at_once,
        phase: float = 0.0,
        guess: Guess | None = None,
    ) -> None:
        if not 0 < witness < largest:
            raise ValueError(f"witness {witness}: the small probe has to be smaller than the link's {largest} bytes")
        self.state = State.DISABLED
        self.why: Why | None = None
        """What began the present search; None for the first handshake."""
        self.credit = Credit()
        self._witness = witness
        self._value = Value(now, largest, guess)
        self._keep = Keep(phase)
        self._silence = Silence()
        self._underway = UnderWay(witness, random, gate)
        self._fresh = True  # the first batch of a search is still to be judged
        self._lossy = False  # small ones were lost beside larger ones
        self._next = -NEVER

    @property
    def known(self) -> Known:
        """The limit to send by, and its evidence."""
        return self._value.known

    def history(self) -> tuple[Known, ...]:
        """What was known before, oldest first."""
        return self._value.history.former()

    @property
    def quiet(self) -> bool:
        """Nobody answers, and that is told apart from a loss or two."""
        return self._silence.quiet

    @property
    def round_trip(self) -> float | None:
        """Seconds, smoothed; None before the first answer."""
        return self._underway.trip.smoothed or None

    @property
    def small(self) -> Small:
        """What became of small probes."""
        return self._underway.small

    # What happens

    def handshake(self, now: float, round_trip: float | None = None) -> None:
        """A session is there. `round_trip`: seconds that our initiation took to be answered, where it was ours."""
        if round_trip is not None:
            self._underway.trip.sample(round_trip)
        if self.state is State.DISABLED:
            self._restart(now, other_path=True)

    def disable(self, now: float) -> None:
        """No session, or nobody to answer probes: the last value stays, without anything that vouches for it."""
        self.state = State.DISABLED
        self._underway.end()
        self._underway.forget()
        if self._value.proven():
            self._value.doubt(now)

    def changed(self, now: float, why: Why, guess: Guess | None = None) -> None:
        """Another path from now on: nothing that was learned holds. The last size is tried first, or `guess`."""
        self.why = why
        self._value.doubt(now, guess)
        if self.state is not State.DISABLED:
            self._restart(now, other_path=True)

    def answered(self, now: float, probe: bytes) -> bool:
        """A reply to a probe; False where none with this id is under way, which then changes nothing."""
        size = self._underway.answered(now, probe)
        if size is None:
            return False
        self._silence.answered(now)
        self._keep.heard()
        if size >= self.known.size:
            self._keep.strikes = 0
        self._value.bracket.answered(size)
        if self._value.vouch(now) and self.state is State.COMPLETE:
            self._value.bracket.forget_losses()
            self._go_on(now)
        return True

    def unsent(self, now: float, probe: bytes) -> None:
        """It could not be sent, for another reason than its size: it says nothing."""
        self._underway.unsent(now, probe, refused=False)

    def refused(self, now: float, probe: bytes) -> None:
        """Our own kernel found it too long (EMSGSIZE): so it is, on this link."""
        size = self._underway.unsent(now, probe, refused=True)
        if size is not None:
            self._value.bracket.lost(size, MAX_PROBES)
            if size <= self.known.size:
                self._keep.strikes = MAX_PROBES

    def sent(self, now: float, size: int, longest: int) -> None:
        """`size` bytes of the peer's own traffic went out since the last call, the longest packet of them `longest`."""
        self.credit.earn(size, self.known.size)
        self._silence.sent()
        self._keep.sent(now, longest, self.known.size)

    def heard(self, now: float) -> None:
        """Anything authenticated came from the peer."""
        self._keep.heard()
        self._silence.heard(now)

    def small_alive(self) -> None:
        """A small packet of ours was answered just now, such as an initiation: a witness for what is under way."""
        self._underway.small_alive()

    def hint(self, now: float, size: int, cited: int = 0) -> None:
        """Somebody (ICMP, or EMSGSIZE for data) says that packets have to be no longer than `size`: a reason to look.

        `cited`: wire bytes of what was too long, where the caller knows that we have sent it. Else ignored unless
        something longer was sent since the last look. Whoever forges it wins a few of our own bytes of credit, and over
        a peer that answers no probes a size between BASE and what is known.
        """
        if not self._witness <= size < self.known.size or not (size < cited or self._keep.plausible(size)):
            return
        if self.state is State.COMPLETE:
            self._keep.hinted(size)
        elif not self._silence.answers:
            self._value.hinted(now, size)

    # What to do

    def deadline(self) -> float:
        """When to call `poll` next, NEVER where only an event can change anything."""
        if batch := self._underway.batch:
            return batch.due if batch.sent else batch.at
        if self.state is State.DISABLED:
            return NEVER
        if self._silence.quiet:
            return self._silence.again() if self.credit.left(self._cost(Step.SEARCH, [self._value.base])) else NEVER
        return self._keep.due(self._next, self._facts()) if self.state is State.COMPLETE else self._next

    def poll(self, now: float) -> list[Send]:
        """What to send now."""
        sends: list[Send] = []
        while self.deadline() <= now:
            batch = self._underway.batch
            if not batch:
                self._decide(now)
            elif batch.sent:
                self._judge(now)
            else:
                sends += self._underway.send(now, batch)
        return sends

    def _decide(self, now: float) -> None:
        """Make the next batch, or be complete without one."""
        if self._silence.quiet:
            self._silence.trying(now)
            return self._kept(now, Step.SEARCH, [self._value.base])
        if self.state is State.COMPLETE:
            return self._kept(now, *self._keep.decide(now, self._facts()))
        sizes = self._sizes()
        if not sizes or not self.credit.allows(self._cost(Step.SEARCH, sizes), self._value.bracket.low):
            return self._complete(now)
        self.credit.converge(self._cost(Step.SEARCH, sizes))
        self._underway.make(now, Step.SEARCH, sizes, self._witnesses(Step.SEARCH))

    def _sizes(self) -> Sequence[int]:
        if not self._fresh:
            return self._value.bracket.next()
        return [self._value.base] if self._silence.missed else self._value.first()

    def _facts(self) -> Facts:
        return Facts(
            self.known.size,
            self._value.bracket.raised(),
            self.credit,
            self._underway.trip.timeout(),
            self._silence.missed > 0,
            2 * self._witness,
        )

    def _kept(self, now: float, step: Step, sizes: Sequence[int]) -> None:
        self.credit.keep(self._cost(step, sizes))
        self._underway.make(now, step, sizes, self._witnesses(step))

    def _cost(self, step: Step, sizes: Sequence[int]) -> int:
        return self._underway.cost(sizes, self._witnesses(step))

    def _witnesses(self, step: Step) -> int:
        return 1 if step is Step.CONFIRM and not self._silence.missed and not self._keep.strikes else 2

    # What a batch has said

    def _judge(self, now: float) -> None:
        batch = self._underway.end()
        assert batch is not None
        self._next = now
        if not batch.alive:
            if not self._silence.quiet and batch.step is not Step.RAISE and self._silence.miss():
                self._unknown(now)
            return
        revived, self._silence.missed = self._fresh and self._silence.missed > 0, 0
        self._lossy |= batch.lossy()
        if batch.step is Step.SEARCH and not revived:  # revived: what it is alive for was not tried yet
            self._searched(now, batch)
        elif batch.step is Step.CONFIRM:
            self._keep.strikes += batch.lost() == [self.known.size]
        elif batch.step is Step.FALL:
            self._fell(now, batch)
        elif batch.step is Step.RAISE and self.state is State.SEARCHING:
            self._value.lost(batch.lost())

    def _searched(self, now: float, batch: Batch) -> None:
        if self._silence.quiet:
            self._restart(now, other_path=False)
            return
        self._value.lost(batch.lost())
        self._value.settle(now)
        if self._fresh:
            self._value.remember()
        self._fresh = False
        self.state = State.SEARCHING if self._value.bracket.low >= self._value.base else State.ERROR

    def _fell(self, now: float, batch: Batch) -> None:
        """Where the present size was lost again, the largest that passed is the new one; else it was chance."""
        if self._keep.strikes and self.known.size in batch.lost():
            self._underway.forget()
            self._value.fall(now, batch.lost(), max(batch.passed, default=self._witness))
            self._go_on(now)
        self._keep.begin()

    # Where a search begins and ends

    def _restart(self, now: float, *, other_path: bool) -> None:
        """Search from nothing, with an allowance of its own."""
        self.state, self._fresh = State.BASE, True
        self._value.forget()
        self._underway.give_up(now)
        self._silence.begin(other_path=other_path)
        self._keep.begin()
        self._next = max(now, self._next + MIN_RESTART)
        self.credit.begin()

    def _go_on(self, now: float) -> None:
        """The value has changed over the same path: search on from it, with an allowance of its own."""
        self.state, self._next, self._lossy = State.SEARCHING, now, False
        self.credit.begin()

    def _complete(self, now: float) -> None:
        """All is known, or all that may be spent is."""
        if not self._value.bracket.low:
            return self._unknown(now)
        self._value.settle(now)
        self.state = State.COMPLETE
        self.credit.settle(self._value.bracket.low)
        self._keep.found(now, lossy=self._lossy)

    def _unknown(self, now: float) -> None:
        """All were lost, small ones too: that says nothing about sizes."""
        self.state = State.BASE
        self.credit.settle(self._value.bracket.low)
        self._value.unanswered(now)
        self._keep.begin()
        self._silence.start(now)
