"""What the data plane is to reach, and whether it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.dataplane.figures import figure, resident
from tests.bench.dataplane.implementations import REFERENCE
from tests.bench.dataplane.results import Results


@dataclass(frozen=True)
class Goal:
    """`found` gives the figure to compare, or None where it was not measured."""

    title: str
    implementation: str
    found: Callable[[Results], float | None]
    limit: float
    unit: str
    at_least: bool
    wants_avx512: bool = False

    def met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    @property
    def text(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}{self.unit}"


@dataclass(frozen=True)
class Verdict:
    """`value` is None where there is none; `note` says why, or `met` or `missed`."""

    goal: Goal
    value: float | None
    note: str


def judge(results: Results) -> list[Verdict]:
    """Of all goals of implementations that the run was asked for, whether or not they could take part."""
    return [_judge(goal, results) for goal in GOALS if goal.implementation in results.settings["implementations"]]


def _judge(goal: Goal, results: Results) -> Verdict:
    if goal.wants_avx512 and results.machine.get("avx512") != "yes":
        return Verdict(goal, None, "no AVX-512 here")
    value = goal.found(results)
    if value is None:
        return Verdict(goal, None, "not measured")
    return Verdict(goal, value, "met" if goal.met(value) else "missed")


def _times(
    implementation: str, test: str, name: str = "value", to: str = REFERENCE
) -> Callable[[Results], float | None]:
    def found(results: Results) -> float | None:
        measured = figure(results, implementation, test, name, to)
        return measured.ratio if measured else None

    return found


def _plain(implementation: str, test: str) -> Callable[[Results], float | None]:
    def found(results: Results) -> float | None:
        measured = figure(results, implementation, test)
        return measured.median if measured else None

    return found


def _throughput(test: str, title: str, avx512: float, ring: float) -> tuple[Goal, Goal]:
    return (
        Goal(f"{title}, to {REFERENCE}", "fast", _times("fast", test), avx512, "×", True, wants_avx512=True),
        Goal(f"{title}, to {REFERENCE}", "fast-ring", _times("fast-ring", test), ring, "×", True),
    )


def _against(other: str, limit: float) -> Goal:
    return Goal(f"one flow, to {other}", "fast", _times("fast", "tcp", to=other), limit, "×", True, wants_avx512=True)


GOALS = (
    *_throughput("tcp", "one flow A to B", 2.5, 1.8),
    *_throughput("tcp-reverse", "one flow B to A", 2.5, 1.8),
    *_throughput("tcp8", "8 flows", 3, 2.2),
    _against("gotatun", 6),
    _against("boringtun", 10),
    Goal(f"128 B UDP, < 1 % loss, to {REFERENCE}", "fast", _times("fast", "udp-ladder"), 3, "×", True),
    Goal("128 B UDP, < 1 % loss", "fast", _plain("fast", "udp-ladder"), 200, " k/s", True),
    Goal(f"128 B UDP under overload, to {REFERENCE}", "fast", _times("fast", "udp-overload"), 6, "×", True),
    Goal(f"processor time per GB, to {REFERENCE}", "fast", _times("fast", "tcp", "per_gigabyte"), 0.35, "×", False),
    Goal(f"ping, idle, to {REFERENCE}", "fast", _times("fast", "ping-idle"), 0.6, "×", False),
    Goal("ping at 80 % of the throughput", "fast", _plain("fast", "ping-80"), 1, " ms", False),
    Goal("ping, saturated", "fast", _plain("fast", "ping-saturated"), 3, " ms", False),
    Goal("memory", "fast", lambda results: resident(results, "fast"), 40, " MB", False),
    Goal("one flow A to B", "python", _plain("python", "tcp"), 0.3, " Gbit/s", True),
    Goal(f"128 B UDP, < 1 % loss, to {REFERENCE}", "python", _times("python", "udp-ladder"), 1, "×", True),
)
"""Of the issue that asks for the fast data plane. The table's size and lookups are `scale`'s."""
