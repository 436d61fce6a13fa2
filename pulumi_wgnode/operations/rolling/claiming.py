"""One rollout of an environment at a time: the claim is taken, renewed while the run lives, and given back."""

from __future__ import annotations

import getpass
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from pulumi_wgnode.operations.rolling import process
from pulumi_wgnode.operations.rolling.tags import CLAIM, Tags
from pulumi_wgnode.operations.stacks import StackError
from wgnode.rollout.claim import LEASE, RENEWED, Claim

SETTLED = 1.0
"""Seconds, at least, after which a claim of two that came at once has won."""
SURE = LEASE / 2
"""Seconds for which a claim that was seen to be ours is ours: who takes it over has watched it for LEASE."""
WATCHED = 5.0
"""Seconds between two looks at another's claim."""
Say = Callable[[str], object]


class Taken(StackError):
    """Another rollout of the environment runs."""


@dataclass
class Holder:
    """Of a claim of ours."""

    tags: Tags
    stack: str
    claim: Claim
    _seen_at: float | None = None
    _end: threading.Event = field(default_factory=threading.Event)
    _telling: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Raises Taken where somebody else has taken over meanwhile (we were asleep, or cut off from the backend).

        The backend is not asked where the claim was seen so short a time ago that nobody can have taken it for dead.
        """
        if self._seen_at is None or _now() - self._seen_at >= SURE:
            self._look()

    def _look(self) -> None:
        """Raises Taken."""
        began, self._seen_at = _now(), None
        now = Claim.parse(self.tags.all(self.stack).get(CLAIM, ""))
        if now is None or now.run != self.claim.run:
            raise Taken(f"this run is no longer the one that runs: {now or 'its claim is gone'}; see what that does")
        self._seen_at = began

    def beat(self) -> None:
        """Until the end."""
        while not self._end.wait(RENEWED):
            with self._telling, suppress(StackError):  # a backend that is away for a moment; `check` tells later
                if not self._end.is_set():
                    self._look()
                    self.claim = self.claim.renewed()
                    self.tags.set(self.stack, CLAIM, self.claim.to_text())

    def release(self) -> None:
        self._end.set()
        with self._telling, suppress(StackError):
            self._look()
            self.tags.remove(self.stack, CLAIM)


def _now() -> float:
    """Seconds that also pass while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@contextmanager
def claimed(tags: Tags, stack: str, environment: str, commit: str, order: str, say: Say) -> Iterator[Holder]:
    """Raises Taken, naming who runs what; StackError where the backend can't be asked."""
    there = Claim.parse(tags.all(stack).get(CLAIM, ""))
    if there is not None:
        _see_that_it_is_dead(tags, stack, environment, there, say)
    since = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    own = Claim(
        secrets.token_hex(6), commit[:12], order, f"{getpass.getuser()}@{process.host()}", since, str(process.here())
    )
    began = time.monotonic()
    tags.set(stack, CLAIM, own.to_text())
    # Who looked just before that writes no later than it takes to look and to write, here or where that is slower.
    time.sleep(max(SETTLED, 3 * (time.monotonic() - began)))
    holder = Holder(tags, stack, own)
    holder.check()
    threading.Thread(target=holder.beat, daemon=True).start()
    try:
        yield holder
    finally:
        holder.release()


def _see_that_it_is_dead(tags: Tags, stack: str, environment: str, there: Claim, say: Say) -> None:
    """Raises Taken where it is not."""
    refusal = Taken(f"another rollout of {environment} runs: {there}; wait for its end, or end it where it runs")
    writer, here = there.process, process.here()
    if writer and writer.surely_gone(here, process.started(writer.pid)):
        say(f"the run before is dead: {there}")
        return
    if writer and writer.same_place(here):
        raise refusal
    say(f"{there}: on another machine; watched for up to {LEASE:.0f} s whether it lives")
    until = time.monotonic() + LEASE
    while time.monotonic() < until:
        time.sleep(WATCHED)
        now = Claim.parse(tags.all(stack).get(CLAIM, ""))
        if now is None:
            return
        if (now.run, now.beat) != (there.run, there.beat):
            raise refusal
    say(f"the run before has not been heard of for {LEASE:.0f} s, and is taken for dead: {there}")
