"""Rule sets from `iptables-save` (or `iptables -S`), whose matches `nft -j` does not show. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from wgnode.firewall.others import iptables_match
from wgnode.firewall.others.walk import (
    ACCEPT,
    ANYTHING,
    DROP,
    NOTHING,
    RETURN,
    UNSURE,
    UNTRACKED,
    Chain,
    Language,
    Rule,
    Table,
    Verdict,
)

_HOOKS = {
    "PREROUTING": "prerouting",
    "INPUT": "input",
    "FORWARD": "forward",
    "OUTPUT": "output",
    "POSTROUTING": "postrouting",
}
_TARGETS = {"ACCEPT": ACCEPT, "DROP": DROP, "REJECT": DROP, "RETURN": RETURN, "QUEUE": Verdict(UNSURE)}
_TARGETS |= {"NFQUEUE": Verdict(UNSURE), "SYNPROXY": Verdict(UNSURE), "TPROXY": Verdict(UNSURE)}
# They change or tell something, and leave the packet's fate to the rules after them.
_HARMLESS: tuple[str, ...] = ("LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "CT", "TCPMSS", "TCPOPTSTRIP", "DSCP", "TOS")
_HARMLESS += ("CHECKSUM", "CLASSIFY", "TRACE", "AUDIT", "SET", "HL", "TTL", "TEE", "SECMARK", "CONNSECMARK", "RATEEST")


def tables(saved: str, family: str, language: Language) -> list[Table]:
    """Raises nothing: a line that cannot be read becomes a rule that may do anything."""
    found: dict[str, dict[str, tuple[str, list[Rule]]]] = {}
    table = "filter"  # as `iptables -S` has it, which names none
    for line in saved.splitlines():
        words = _words(line)
        if not words or words[0].startswith("#"):
            continue
        if words[0].startswith("*"):
            table = words[0][1:]
        chains = found.setdefault(table, {})
        if words[0].startswith(":"):
            chains[words[0][1:]] = (words[1], [])
        elif words[0] in ("-P", "-N"):
            chains[words[1]] = (words[2] if words[0] == "-P" else "-", [])
        elif words[0] == "-A":
            chains.setdefault(words[1], ("-", []))[1].append(_rule(words[2:]))
    return [
        Table(family, name, {chain: _chain(name, chain, *body) for chain, body in chains.items()}, language)
        for name, chains in found.items()
        if chains
    ]


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _chain(table: str, name: str, policy: str, rules: Sequence[Rule]) -> Chain:
    hook = _HOOKS.get(name, "") if policy != "-" else ""
    kind = "nat" if table == "nat" else "filter"
    return Chain(name, tuple(rules), hook, kind, "drop" if policy == "DROP" else "accept")


def _rule(words: Sequence[str]) -> Rule:
    tests, verdict = [], NOTHING
    for negated, option, values in _options(words):
        if option in ("-j", "--jump"):
            verdict = _target(values)
        elif option in ("-g", "--goto"):
            verdict = Verdict(frozenset(), goto=values[0]) if values else ANYTHING
        elif option not in ("-m", "--match") and not option.startswith("--comment"):
            tests.append(iptables_match.test(option, values, negated))
    return Rule(tuple(tests), verdict)


def _target(values: Sequence[str]) -> Verdict:
    name = values[0] if values else ""
    if name == "NOTRACK" or (name == "CT" and "--notrack" in values):
        return UNTRACKED
    if name in _TARGETS:
        return _TARGETS[name]
    if name in _HARMLESS:
        return NOTHING
    return ANYTHING if not name or name in ("DNAT", "SNAT", "MASQUERADE", "REDIRECT") else Verdict(frozenset(), name)


def _options(words: Sequence[str]) -> Iterator[tuple[bool, str, list[str]]]:
    """Each option with whether a "!" stands before it, and its values. What comes after the target is the target's."""
    negated, option, values = False, "", list[str]()
    for word in words:
        if option in ("-j", "--jump") or (option == "--comment" and not values):
            values.append(word)
        elif word == "!" or (word.startswith("-") and len(word) > 1 and not word[1:].isdigit()):
            if option:
                yield negated, option, values
                negated, option, values = False, "", []
            negated, option = (True, "") if word == "!" else (negated, word)
        else:
            values.append(word)
    if option:
        yield negated, option, values
