"""Whether a site is healthy with a change, of one look at it: what its gateway and its host say, as values.

A gateway that answers well may be the one from before the change: an answer counts only where it is of now, of a guest
that was started when its host says that it was, and of this change's digests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wgnode.rollout.facts import Verdict
from wgnode.rollout.policy import Limits

CLOCK = 5.0
"""Seconds that a guest's clock may differ from its host's, and its start from what the host says of it."""
MERGED = 0.5
"""Seconds by which a search may seem to be older than the question for it. Ages are compared, each by one clock: a busy
guest's is seconds behind its host's, which sets it once a minute."""
PROVEN = "probe"
"""Evidence that an answer has given (wgnode/pathmtu/known.py)."""
NOT_BACK = "no probe of full size has come back"
AWAITED = frozenset({"unreachable", "unknown"})
"""Words of hostd's client for a hostd that does not answer: nobody knows how the guest is."""


@dataclass(frozen=True)
class Wanted:
    """Of a site, as its stack has recorded it: digests, and `applied_at`, seconds since 1970 by the clock of whoever
    ran `up`. `names` are the peers with which it should talk, by public key (base64)."""

    image: str
    applied: str
    live: str
    applied_at: float
    names: Mapping[str, str]


@dataclass(frozen=True)
class Told:
    """What one look has shown. `at` is when, by our own clock; `host` is the host's clock before and after it, all in
    seconds since 1970. `unit_age` is for how long the gateway's process runs, as the host says, None for not at all.
    `probed_at` is when the search was asked for whose result this has, by the host's clock; None: none was."""

    at: float
    host: tuple[float, float]
    unit_age: float | None
    image: str
    health: Mapping[str, Any]
    probed_at: float | None = None


@dataclass(frozen=True)
class Pair:
    """With one peer. `problem` and `unmeasured` are "" where there is none; `round_trip` in seconds."""

    peer: str
    problem: str = ""
    unmeasured: str = ""
    stale: bool = False
    """Whether its handshake is older than the change."""
    size: int | None = None
    round_trip: float | None = None
    sent: int = 0
    answered: int = 0


@dataclass(frozen=True)
class Look:
    """`problems` are of the gateway itself, `unmeasured` why nothing can be said of it; `started_at` is when its guest
    started, by its host's clock."""

    problems: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    started_at: float | None = None
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def verdict(self) -> Verdict:
        if any(self.reasons(Verdict.FAIL)):
            return Verdict.FAIL
        return Verdict.UNMEASURED if any(self.reasons(Verdict.UNMEASURED)) else Verdict.PASS

    def reasons(self, verdict: Verdict) -> Iterator[str]:
        if verdict is Verdict.FAIL:
            yield from self.problems
            yield from (f"with {pair.peer}: {pair.problem}" for pair in self.pairs if pair.problem)
        if verdict is Verdict.UNMEASURED:
            yield from self.unmeasured
            yield from (f"with {pair.peer}: {pair.unmeasured}" for pair in self.pairs if pair.unmeasured)


def judge(wanted: Wanted, told: Told, limits: Limits) -> Look:
    """Of what the site says of itself; whether its peers excuse a pair is asked afterwards."""
    status = str(told.health.get("status") or "none")
    if status in AWAITED:
        return Look(unmeasured=(f"its hostd does not answer: {told.health.get('error') or status}",))
    if status != "running":
        error = told.health.get("error")
        return Look(problems=(f"the gateway is {status}" + (f": {error}" if error else ""),))
    if old := _of_another_time(told):
        return Look(unmeasured=(old,))
    started_at = told.host[1] - float(told.health["uptime"])
    if wrong := tuple(_other_digests(wanted, told)):
        return Look(problems=wrong, started_at=started_at)
    return Look(pairs=tuple(_pairs(wanted, told, limits)), started_at=started_at)


def _of_another_time(told: Told) -> str | None:
    """Why this answer says nothing of now: one that was kept, or the former guest's."""
    time, uptime = told.health.get("time"), told.health.get("uptime")
    if time is None or uptime is None:
        return "its answer has no time"
    if time < told.host[0] - CLOCK:
        return f"its answer is {told.host[0] - time:.0f} s old"
    if time > told.host[1] + CLOCK:
        return f"its clock is {time - told.host[1]:.0f} s before its host's"
    if told.unit_age is None:
        return "it answers, but its host says that no guest runs"
    if uptime > told.unit_age + CLOCK:
        return (
            f"its answer is of a guest that runs for {uptime:.0f} s, but the host's has run for {told.unit_age:.0f} s"
        )
    return None


def _other_digests(wanted: Wanted, told: Told) -> Iterator[str]:
    pairs = (
        ("image", wanted.image, told.image),
        ("configuration", wanted.applied, told.health.get("applied")),
        ("running state", wanted.live, told.health.get("live")),
    )
    for what, want, have in pairs:
        if want != have:
            yield f"its {what} is {(have or 'none')[:12]}, not this change's {want[:12]}"


def _pairs(wanted: Wanted, told: Told, limits: Limits) -> Iterator[Pair]:
    peers = {key: raw for raw in told.health.get("peers") or () for key in _keys(raw)}
    for key, name in wanted.names.items():
        if key in peers:
            yield _pair(name, peers[key], wanted, told, limits)
        else:
            yield Pair(name, problem="it is none of its peers")


def _keys(raw: Mapping[str, Any]) -> set[str]:
    return {raw["public_key"], *(raw.get("public_keys") or ())}


def _pair(name: str, raw: Mapping[str, Any], wanted: Wanted, told: Told, limits: Limits) -> Pair:
    last, path = raw.get("last_handshake"), raw.get("path_mtu") or {}
    measured = Pair(
        peer=name,
        size=path.get("size"),
        round_trip=path.get("round_trip"),
        sent=int(path.get("small_sent") or 0),
        answered=int(path.get("small_answered") or 0),
    )
    if last is None:
        return _but(measured, problem="no handshake yet", stale=True)
    if (age := float(told.health["time"]) - last) > told.at - wanted.applied_at:
        return _but(measured, problem=f"its last handshake is older than the change ({age:.0f} s)", stale=True)
    if unmeasured := _unmeasured(path):
        return _but(measured, unmeasured=unmeasured)
    if told.probed_at is None:
        return _but(measured, unmeasured="not probed yet")
    asked, found = told.host[1] - told.probed_at, float(told.health["time"]) - float(path["since"])
    if path.get("evidence") != PROVEN or found > asked + MERGED:
        return _but(measured, problem=NOT_BACK)
    if measured.round_trip is not None and measured.round_trip * 1000 > limits.round_trip:
        slow = f"{measured.round_trip * 1000:.0f} ms there and back, above the limit of {limits.round_trip}"
        return _but(measured, problem=slow)
    return measured


def _unmeasured(path: Mapping[str, Any]) -> str | None:
    if not path:
        return "its node searches no path MTU, so nothing probes the way"
    if path.get("unmeasured"):
        return f"nothing probes the way: {path['unmeasured']}"
    if "small_sent" not in path:
        return "its node is of an older version, which does not count its probes"
    return None


def _but(pair: Pair, problem: str = "", unmeasured: str = "", stale: bool = False) -> Pair:
    return Pair(pair.peer, problem, unmeasured, stale, pair.size, pair.round_trip, pair.sent, pair.answered)
