"""The gate: looks at all sites at once, again and again, until each has a verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import OutOfTime
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.operations import stacks
from pulumi_wgnode.operations.gating import asking
from pulumi_wgnode.operations.gating.asking import Ask
from pulumi_wgnode.operations.gating.expected import Expected
from pulumi_wgnode.operations.gating.neighbours import Excuse
from pulumi_wgnode.operations.hosts import AT_ONCE, bounded
from pulumi_wgnode.operations.stacks import SiteStack
from wgnode.rollout.facts import Verdict
from wgnode.rollout.gate import NOT_BACK, Look, judge
from wgnode.rollout.policy import Limits
from wgnode.rollout.watch import Result, Watch

INTERVAL = 5.0
"""Seconds between two looks: a search is exact within 3."""
SEARCHED = 20.0
"""Seconds that a search may take on a busy machine before another one is asked for."""
PROMPT = 2
"""Looks by which a pair that is well has talked: only of those that have not then, the neighbours are asked."""
SLOWEST = 60.0
"""Seconds that a host has for one look."""
Say = Callable[[str], object]


@dataclass
class _Site:
    """`probed_at` and `ask` are of the next look: what it has the result of, and what it asks for."""

    expected: Expected
    watch: Watch
    probed_at: float | None = None
    ask: Ask = "--fresh"
    looks: int = 0
    host_time: float = 0.0
    result: Result | None = None
    last: Look = field(default_factory=Look)


def gate(
    sites: Sequence[Expected],
    soak: float,
    limits: Limits,
    excuse: Excuse,
    say: Say = lambda line: None,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Result]:
    """By stack. `soak` is in seconds; `say` gets a line for each verdict."""
    watched = [_Site(one, _watch(one, now(), soak, limits)) for one in sites]
    while left := [one for one in watched if one.result is None]:
        began = now()
        stacks.each(left, partial(_look, limits=limits, excuse=excuse, now=now), AT_ONCE)
        for one in left:
            if one.result is not None:
                say(line(one.expected.stack, one.result))
        if any(one.result is None for one in left):
            sleep(max(0.0, INTERVAL - (now() - began)))
    return {one.expected.stack: one.result for one in watched if one.result is not None}


def line(stack: str, result: Result) -> str:
    """ "dev-berlin: pass"."""
    return f"{stack}: {result.verdict.value}" + (f" ({'; '.join(result.why)})" if result.why else "")


def _watch(site: Expected, now: float, soak: float, limits: Limits) -> Watch:
    return Watch.of(now, max(0.0, time.time() - site.wanted.applied_at), soak, limits)


def _look(site: _Site, limits: Limits, excuse: Excuse, now: Callable[[], float]) -> None:
    look = _seen(site, limits)
    site.looks += 1
    if site.looks > PROMPT:
        look = excuse(site.expected, look)
    site.ask = _next(site, look)
    site.last = look
    site.result = site.watch.looked(now(), look)


def _next(site: _Site, look: Look) -> Ask:
    """A search that is still under way would begin anew by being asked for: a busy node would never come to an end."""
    if any(pair.stale for pair in look.pairs) or site.probed_at is None:
        return "--fresh"
    waits = any(pair.problem == NOT_BACK for pair in look.pairs)
    return "no" if waits and site.host_time - site.probed_at < SEARCHED else ""


def _seen(site: _Site, limits: Limits) -> Look:
    expected = site.expected
    stack = SiteStack(expected.stack, expected.site, "", expected.connection, None)

    def ask(asked: SiteStack) -> Look:
        told, probed_at = asking.look(pool.connect(asked.connection), asked.site, site.ask, site.probed_at)
        site.probed_at, site.host_time = (probed_at if site.ask != "no" else site.probed_at), told.host[1]
        return judge(expected.wanted, told, limits)

    try:
        return bounded(ask, stack, SLOWEST, OutOfTime)
    except ExplainedError as error:
        site.probed_at = None
        return Look(unmeasured=(str(error),))


def summed(results: Mapping[str, Result]) -> Verdict:
    """One that fails fails all; one that could not be measured leaves the others' verdict open."""
    verdicts = {one.verdict for one in results.values()}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.UNMEASURED if Verdict.UNMEASURED in verdicts or not verdicts else Verdict.PASS
