"""What is measured of a pair, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.bench.dataplane import traffic
from tests.bench.dataplane.pair import Failed, Pair, over

LADDER = tuple(
    1000 * rate for rate in (2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 80, 100, 130, 160, 200, 250, 300, 350, 400, 500)
)
"""Datagrams a second, tried from the bottom."""
LOSS_ALLOWED = 1.0
"""In % of what was offered."""
OFFERED = 0.95
"""Of a step's rate has to be sent, else that step says nothing of the tunnel."""
PART = 0.8
"""Of a flow's highest throughput, which the middle measurement of latency leaves room beside."""
RENEWALS_WATCHED = 6
"""Seconds at least: a session is renewed every 2."""


@dataclass(frozen=True)
class Reading:
    """A measurement's figure in its unit, and more figures by name: p99 (ms), gigabytes, loss (%), ..."""

    value: float
    more: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """`run(pair, seconds)` measures. `per_gigabyte`: processor time is told by what was moved.

    `renewing`: needs a pair whose sessions are renewed all the time.
    """

    name: str
    title: str
    unit: str
    run: Callable[[Pair, int], Reading]
    per_gigabyte: bool = False
    renewing: bool = False


def _tcp(*options: str) -> Callable[[Pair, int], Reading]:
    def run(pair: Pair, seconds: int) -> Reading:
        moved = traffic.tcp(pair, seconds, *options)
        if not options:
            pair.throughput = max(pair.throughput or 0.0, moved.gigabits)
        return Reading(moved.gigabits, {"gigabytes": moved.received / 1e9, "retransmits": moved.retransmits})

    return run


def _families(inner: int, outer: int) -> Callable[[Pair, int], Reading]:
    def run(pair: Pair, seconds: int) -> Reading:
        with over(pair, inner, outer):
            moved = traffic.tcp(pair, seconds)
        return Reading(moved.gigabits, {"gigabytes": moved.received / 1e9})

    return run


def _overload(pair: Pair, seconds: int) -> Reading:
    count = traffic.datagrams(pair, 0, seconds)
    return Reading(count.received / 1000, {"offered": count.offered / 1000, "loss": count.loss})


def _ladder(pair: Pair, seconds: int) -> Reading:
    """Each step may be tried twice."""
    best = traffic.Count(0, 0, 0)
    for rate in LADDER:
        tries = (traffic.datagrams(pair, rate, seconds) for _ in range(2))
        passed = next((count for count in tries if passes(count, rate)), None)
        if passed is None:
            break
        best = passed
    return Reading(best.received / 1000, {"loss": best.loss})


def passes(count: traffic.Count, rate: float) -> bool:
    """Whether a step of the ladder was offered, and arrived but for what may be lost."""
    return count.loss < LOSS_ALLOWED and count.offered >= OFFERED * rate


def _round_trips(trips: traffic.RoundTrips) -> Reading:
    return Reading(trips.median, {"p99": trips.p99, "lost": trips.lost})


def idle(interval: float) -> Callable[[Pair, int], Reading]:
    """One ping every `interval` seconds."""
    return lambda pair, seconds: _round_trips(traffic.pings(pair, int(seconds / interval), interval))


def _saturated(pair: Pair, seconds: int, *options: str) -> Reading:
    with traffic.tcp_meanwhile(pair, seconds + 1, *options):
        return _round_trips(traffic.pings(pair, int((seconds - 0.5) / 0.01), 0.01))


def _at_a_part(pair: Pair, seconds: int) -> Reading:
    highest = pair.throughput or traffic.tcp(pair, seconds).gigabits
    offered = PART * highest
    reading = _saturated(pair, seconds, "-b", str(int(offered * 1e9)))
    return Reading(reading.value, {**reading.more, "offered": offered})


def _renewals(pair: Pair, seconds: int) -> Reading:
    """Raises Failed where no session was renewed meanwhile."""
    begin = pair.nodes[0].handshake()
    moved = traffic.tcp(pair, max(seconds, RENEWALS_WATCHED))
    if pair.nodes[0].handshake() < begin + 3:
        raise Failed("no session was renewed under load")
    trips = traffic.pings(pair, 20, 0.05)
    return Reading(moved.gigabits, {"gigabytes": moved.received / 1e9, "lost": trips.lost})


_ALL = (
    Measurement("tcp", "one TCP flow, A to B", "Gbit/s", _tcp(), per_gigabyte=True),
    Measurement("tcp-reverse", "one TCP flow, B to A", "Gbit/s", _tcp("-R"), per_gigabyte=True),
    Measurement("tcp8", "8 TCP flows", "Gbit/s", _tcp("-P", "8"), per_gigabyte=True),
    Measurement("bidir", "both ways at once", "Gbit/s", _tcp("--bidir"), per_gigabyte=True),
    Measurement("tcp-6in4", "one TCP flow, IPv6 in IPv4", "Gbit/s", _families(6, 4), per_gigabyte=True),
    Measurement("tcp-4in6", "one TCP flow, IPv4 in IPv6", "Gbit/s", _families(4, 6), per_gigabyte=True),
    Measurement("tcp-6in6", "one TCP flow, IPv6 in IPv6", "Gbit/s", _families(6, 6), per_gigabyte=True),
    Measurement("udp-overload", "128 B UDP received under overload", "k/s", _overload),
    Measurement("udp-ladder", "128 B UDP with < 1 % loss", "k/s", _ladder),
    Measurement("ping-idle", "ping, idle", "ms", idle(0.005)),
    Measurement("ping-80", "ping at 80 % of the throughput", "ms", _at_a_part),
    Measurement("ping-saturated", "ping, saturated", "ms", _saturated),
    Measurement("renewals", "one TCP flow, renewed every 2 s", "Gbit/s", _renewals, per_gigabyte=True, renewing=True),
)
MEASUREMENTS = {measurement.name: measurement for measurement in _ALL}
