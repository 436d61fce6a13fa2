"""Rule sets from `nft -j list ruleset` (libnftables-json(5)). Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wgnode.firewall.others import nft_match
from wgnode.firewall.others.nft_match import Sets
from wgnode.firewall.others.walk import (
    ACCEPT,
    ANYTHING,
    DROP,
    NOTHING,
    RETURN,
    UNREADABLE,
    UNSURE,
    UNTRACKED,
    Chain,
    Rule,
    Table,
    Test,
    Verdict,
)

# Statements that change or count something, and leave the packet's fate to others.
_HARMLESS = ("counter", "log", "mangle", "meta", "set", "map", "last", "secmark", "ct helper", "ct timeout")
_XT_TARGETS = {"REJECT": DROP, "DROP": DROP, "ACCEPT": ACCEPT, "RETURN": RETURN}
_XT_HARMLESS: tuple[str, ...] = (
    "LOG",
    "NFLOG",
    "MARK",
    "CONNMARK",
    "CT",
    "TCPMSS",
    "DSCP",
    "CHECKSUM",
    "CLASSIFY",
    "TRACE",
)
_XT_HARMLESS += ("AUDIT", "SET", "HL", "TTL", "TOS", "ULOG", "TEE", "NOTRACK", "TCPOPTSTRIP", "SECMARK")


def tables(listing: str) -> list[Table]:
    """In the listing's order."""
    items = json.loads(listing)["nftables"] if listing.strip() else []
    sets = {
        (body["family"], body["table"], body["name"]): body
        for item in items
        for kind, body in item.items()
        if kind in ("set", "map")
    }
    rules: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    chains: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for item in items:
        if "chain" in item:
            chains.setdefault((item["chain"]["family"], item["chain"]["table"]), []).append(item["chain"])
        if "rule" in item:
            one = item["rule"]
            rules.setdefault((one["family"], one["table"], one["chain"]), []).append(one)
    return [_table(family, name, found, rules, sets) for (family, name), found in chains.items()]


def _table(
    family: str,
    name: str,
    chains: Sequence[Mapping[str, Any]],
    rules: Mapping[tuple[str, str, str], Sequence[Mapping[str, Any]]],
    sets: Mapping[tuple[str, str, str], Mapping[str, Any]],
) -> Table:
    own: Sets = {key[2]: body for key, body in sets.items() if key[:2] == (family, name)}
    made = {}
    for chain in chains:
        read = [
            rule
            for one in rules.get((family, name, chain["name"]), ())
            for rule in _read(one.get("expr", ()), own)  # one that has no statements is listed without
        ]
        made[chain["name"]] = Chain(
            chain["name"], tuple(read), chain.get("hook", ""), chain.get("type", ""), chain.get("policy", "accept")
        )
    return Table(family, name, made)


def _read(expressions: Sequence[Any], sets: Sets) -> list[Rule]:
    """One of a form that is not known may do anything."""
    try:
        return list(_rules(expressions, sets))
    except UNREADABLE:
        return [Rule((), ANYTHING)]


def _rules(expressions: Sequence[Any], sets: Sets) -> Iterator[Rule]:
    """One, or one for each element of a verdict map."""
    tests: list[Test] = []
    for expression in expressions:
        ((kind, body),) = expression.items() if isinstance(expression, Mapping) else (("unknown", expression),)
        if kind == "match":
            tests.append(nft_match.test(body, sets))
        elif kind in ("limit", "quota", "ct count") or (kind == "xt" and body.get("type") == "match"):
            tests.append(_cannot_tell)
        elif kind == "vmap":
            yield from _mapped(tests, body, sets)
            return
        elif (verdict := _verdict(kind, body)) != NOTHING:
            yield Rule(tuple(tests), verdict)
            return
    yield Rule(tuple(tests), NOTHING)


def _mapped(tests: Sequence[Test], body: Mapping[str, Any], sets: Sets) -> Iterator[Rule]:
    elements = nft_match.elements(body["data"], sets)
    if elements is None:
        yield Rule((*tests, _cannot_tell), ANYTHING)
    for element in elements or ():
        key, then = element
        ((kind, target),) = then.items()
        test = nft_match.test({"op": "==", "left": body["key"], "right": key}, sets)
        yield Rule((*tests, test), _verdict(kind, target))


def _verdict(kind: str, body: Any) -> Verdict:
    simple = {"accept": ACCEPT, "drop": DROP, "reject": DROP, "return": RETURN, "continue": NOTHING}
    simple["notrack"] = UNTRACKED
    if kind in simple:
        return simple[kind]
    if kind in ("jump", "goto"):
        target = str(body["target"])
        return Verdict(frozenset(), jump=target) if kind == "jump" else Verdict(frozenset(), goto=target)
    if kind == "xt":
        name = str(body.get("name", ""))
        return NOTHING if name in _XT_HARMLESS else _XT_TARGETS.get(name, ANYTHING)
    if kind in ("queue", "synproxy", "tproxy"):
        return Verdict(UNSURE)
    return NOTHING if kind in _HARMLESS else ANYTHING


def _cannot_tell(_: object) -> None:
    return None
