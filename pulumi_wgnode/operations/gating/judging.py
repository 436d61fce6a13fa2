"""Sites judged from their stacks' names: what each has to report is read from its state, then all are looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.operations import recorded, sections, stacks
from pulumi_wgnode.operations.gating import expected, gate
from pulumi_wgnode.operations.gating.expected import Expected
from pulumi_wgnode.operations.gating.neighbours import Neighbours
from pulumi_wgnode.operations.sections import Section, counted
from wgnode.rollout.facts import Verdict
from wgnode.rollout.plan import Plan
from wgnode.rollout.policy import Limits
from wgnode.rollout.watch import Result

PASSED, FAILED, NOT_MEASURED = 0, 1, 3
"""Exit codes; 2 is click's own, of wrong usage."""
CODES = {Verdict.PASS: PASSED, Verdict.FAIL: FAILED, Verdict.UNMEASURED: NOT_MEASURED}


Expectation = Expected | Result


@dataclass(frozen=True)
class Judged:
    """By stack. `soak` is in seconds."""

    results: Mapping[str, Result]
    soak: float
    limits: Limits

    @property
    def verdict(self) -> Verdict:
        return gate.summed(self.results)

    @property
    def exit_code(self) -> int:
        return CODES[self.verdict]


def judge(
    folder: Path,
    names: Sequence[str],
    soak: float,
    limits: Limits,
    plan: Plan | None = None,
    environment: str | None = None,
    say: Callable[[str], object] = lambda line: None,
    known: Mapping[str, Expectation] = MappingProxyType({}),
) -> Judged:
    """Against what each stack's last `up` recorded, which has to be what `plan` wants, where there is one; of those in
    `known` nothing is read."""
    found = stacks.each(names, lambda stack: known.get(stack) or _expected(folder, stack, plan))
    results = {name: one for name, one in zip(names, found, strict=True) if isinstance(one, Result)}
    unread = {name: one for name, one in zip(names, found, strict=True) if isinstance(one, ExplainedError)}
    results |= {name: Result(Verdict.UNMEASURED, (str(error),)) for name, error in unread.items()}
    for name, result in results.items():
        say(gate.line(name, result))
    sites = [one for one in found if isinstance(one, Expected)]
    neighbours = Neighbours(folder, environment)
    results |= gate.gate(sites, soak, limits, neighbours.excused, say)
    return Judged({name: results[name] for name in names}, soak, limits)


def _expected(folder: Path, stack: str, plan: Plan | None) -> Expectation:
    """Raises StackError."""
    return expectation(stack, recorded.export(folder, stack), plan)


def expectation(stack: str, deployment: Mapping[str, Any], plan: Plan | None) -> Expectation:
    """What its gateway has to report, or the verdict where no report would do. Raises StackError."""
    if plan and (other := expected.of_plan(plan, stack, deployment)):
        return Result(Verdict.FAIL, (other,))
    return expected.of(stack, deployment)


def to_dict(judged: Judged) -> dict[str, Any]:
    sites = {name: _told(result) for name, result in judged.results.items()}
    limits = {"loss": judged.limits.loss, "round_trip": judged.limits.round_trip, "handshake": judged.limits.handshake}
    return {"verdict": judged.verdict.value, "soak": judged.soak, "limits": limits, "sites": sites}


def _told(result: Result) -> dict[str, Any]:
    pairs = [
        {
            "peer": pair.peer,
            "problem": pair.problem or None,
            "unmeasured": pair.unmeasured or None,
            "size": pair.size,
            "round_trip": pair.round_trip,
        }
        for pair in result.look.pairs
    ]
    return {
        "verdict": result.verdict.value,
        "why": list(result.why),
        "pairs": pairs,
        "notes": list(result.look.notes),
    }


def text(judged: Judged) -> str:
    return sections.text(_headline(judged), _sections(judged))


def markdown(judged: Judged) -> str:
    return sections.markdown("wgnode health", _headline(judged), _sections(judged))


def _headline(judged: Judged) -> str:
    return f"{counted(len(judged.results), 'site')}: {judged.verdict.value}"


def _sections(judged: Judged) -> list[Section]:
    titles = {Verdict.FAIL: "Not healthy", Verdict.UNMEASURED: "Could not be measured", Verdict.PASS: "Healthy"}
    found = [
        Section(
            title,
            tuple(line for name, one in judged.results.items() if one.verdict is verdict for line in _lines(name, one)),
        )
        for verdict, title in titles.items()
    ]
    notes = tuple(f"{name}: {note}" for name, one in judged.results.items() for note in one.look.notes)
    return [one for one in [*found, Section("To be known", notes)] if one.lines]


def _lines(name: str, result: Result) -> list[str]:
    if result.why:
        return [f"{name}: {why}" for why in result.why]
    slowest = max((pair.round_trip or 0.0 for pair in result.look.pairs), default=0.0)
    return [f"{name}: {counted(len(result.look.pairs), 'pair')}, at most {slowest * 1000:.0f} ms there and back"]
