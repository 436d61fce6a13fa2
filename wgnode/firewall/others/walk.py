"""Rule sets of any origin as one model, and what becomes of a packet in them: accepted, dropped, or not sure. Pure.

A rule asks questions that are answered by yes, no or "cannot be told" (None). Where it cannot be told, both ways are
followed, so that "dropped" is said only of what is dropped for sure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from wgnode.firewall.others.packet import Packet

Answer = bool | None
Test = Callable[[Packet], Answer]
Language = Literal["nft", "iptables", "iptables-legacy"]
ACCEPTED, DROPPED = frozenset({"accept"}), frozenset({"drop"})
UNSURE = ACCEPTED | DROPPED
_NEXT = "next"  # no verdict: the rule after it has its turn
_LOOP = 32  # jumps within jumps; the kernel itself has 16


@dataclass(frozen=True)
class Verdict:
    """`may` holds accept, drop, return or next; jump and goto have a chain to go on with instead."""

    may: frozenset[str] = frozenset({_NEXT})
    jump: str = ""
    goto: str = ""
    untracks: bool = False


UNTRACKED = Verdict(untracks=True)
NOTHING, RETURN = Verdict(), Verdict(frozenset({"return"}))
ACCEPT, DROP = Verdict(ACCEPTED), Verdict(DROPPED)
ANYTHING = Verdict(UNSURE | {_NEXT})


@dataclass(frozen=True)
class Rule:
    tests: tuple[Test, ...]
    verdict: Verdict


@dataclass(frozen=True)
class Chain:
    """A base chain has a hook, a kind such as filter, and a policy."""

    name: str
    rules: tuple[Rule, ...] = ()
    hook: str = ""
    kind: str = ""
    policy: str = "accept"

    @property
    def closes(self) -> bool:
        """Whether it drops what no rule names: by its policy, or by a last rule that asks nothing."""
        last = self.rules[-1] if self.rules else None
        return bool(self.hook) and (
            self.policy == "drop" or (last is not None and not last.tests and last.verdict == DROP)
        )


@dataclass(frozen=True)
class Table:
    family: str
    name: str
    chains: Mapping[str, Chain]
    language: Language = "nft"


UNREADABLE = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What reading raises that meets another form than the one it knows: a newer tool's, or one that nobody thought of."""


def guarded(test: Test) -> Test:
    """A question that cannot be put, because a rule has another form than is known, is one that cannot be answered."""

    def ask(packet: Packet) -> Answer:
        try:
            return test(packet)
        except UNREADABLE:
            return None

    return ask


def outcome(table: Table, chain: Chain, packet: Packet) -> frozenset[str]:
    """ACCEPTED, DROPPED or UNSURE, of a base chain."""
    found = reached(table, chain, packet)
    return (found - {"return"}) | ({chain.policy} if "return" in found else frozenset())


def reached(table: Table, chain: Chain, packet: Packet) -> frozenset[str]:
    """By rules alone: "return" is where none of them decides."""
    return _walk(table, chain, packet, 0)


def untracks(chain: Chain, packet: Packet) -> bool:
    """Whether a base chain surely keeps a packet from being tracked."""
    for rule in chain.rules:
        answer = together(test(packet) for test in rule.tests)
        if answer and rule.verdict.untracks:
            return True
        if answer is not False and rule.verdict.may != NOTHING.may:
            return False
    return False


def together(answers: Iterable[Answer]) -> Answer:
    """Of questions that all must be answered by yes."""
    answers = list(answers)
    return False if False in answers else None if None in answers else True


def either(answers: Iterable[Answer]) -> Answer:
    answers = list(answers)
    return True if True in answers else None if None in answers else False


def _walk(table: Table, chain: Chain, packet: Packet, depth: int) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for rule in chain.rules:
        answer = together(test(packet) for test in rule.tests)
        if answer is False:
            continue
        then = _then(table, rule.verdict, packet, depth)
        found |= then - {_NEXT}
        if answer and _NEXT not in then:
            return found
    return found | {"return"}


def _then(table: Table, verdict: Verdict, packet: Packet, depth: int) -> frozenset[str]:
    name = verdict.jump or verdict.goto
    if not name:
        return verdict.may
    if name not in table.chains or depth > _LOOP:
        return ANYTHING.may
    inside = _walk(table, table.chains[name], packet, depth + 1)
    return frozenset(_NEXT if one == "return" and verdict.jump else one for one in inside)
