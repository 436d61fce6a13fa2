"""Rulesets as nftables text, and what a host really has, read from `nft -j list table`, in the same words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wgnode.firewall import egress, spelling
from wgnode.firewall.expressions import Expression, NamedSet, Rule
from wgnode.firewall.rules import PLAIN_TABLE, Chain

_VERDICTS = ("accept", "drop", "masquerade", "return", "continue")
_BARE = ("iifname", "oifname", "mark")  # keys of packets' own data that are written without "meta"
_QUOTED = ("iifname", "oifname", "meta iifkind")
_VERSIONS = {"ipv4_addr": 4, "ipv6_addr": 6}


@dataclass(frozen=True)
class Table:
    """A table's rules by name ("input: iifname "wan0" drop"), its chains by name ("filter hook input priority 0; policy
    accept") with the names of their rules in order, its sets and maps of devices' addresses, and what else is in it:
    other sets, maps, flags of the table itself."""

    rules: Mapping[str, str]
    chains: Mapping[str, str]
    order: Mapping[str, Sequence[str]]
    others: Mapping[str, str] = field(default_factory=dict)
    sets: Sequence[NamedSet] = ()


def described(chains: Iterable[Chain], sets: Iterable[NamedSet] = ()) -> Table:
    """A ruleset as `observed` would describe it once it is applied."""
    chains = tuple(chains)
    return Table(
        {rule.name: f"{chain.name}: {rule_text(rule.expressions)}" for chain in chains for rule in chain.rules},
        {chain.name: _heading(chain.kind, chain.hook, chain.priority) for chain in chains},
        {chain.name: [rule.name for rule in chain.rules] for chain in chains},
        sets=_sorted(sets),
    )


def _sorted(sets: Iterable[NamedSet]) -> tuple[NamedSet, ...]:
    return tuple(sorted(sets, key=lambda one: one.name))


def observed(listing: str, table: str = PLAIN_TABLE) -> Table:
    """From the output of `nft -j list`; rules without a name are called "unnamed-1" and so on."""
    rules: dict[str, str] = {}
    chains: dict[str, str] = {}
    order: dict[str, list[str]] = {}
    others: dict[str, str] = {}
    sets: list[NamedSet] = []
    for kind, body in _ours(listing, table):
        if kind == "chain":
            chains[body["name"]] = _heading(body.get("type"), body.get("hook"), body.get("prio"), body.get("policy"))
            order[body["name"]] = []
        elif kind == "rule":
            name = _unused(body.get("comment") or "unnamed", rules)
            rules[name] = f"{body['chain']}: {rule_text(body.get('expr', ()))}"
            order[body["chain"]].append(name)
        elif kind in ("set", "map") and (found := _of_devices(body)):
            sets.append(found)
        elif kind != "table":
            others[f"{kind} {body['name']}"] = json.dumps(body.get("elem") or body.get("type"), sort_keys=True)
        elif body.get("flags"):
            others["flags"] = "of the table, such as dormant"  # some versions list them as "c"
    return Table(rules, chains, order, others, _sorted(sets))


def _of_devices(body: Mapping[str, Any]) -> NamedSet | None:
    """None for a set that we don't make."""
    name, elements, version = body["name"], body.get("elem", ()), _VERSIONS.get(str(body.get("type")))
    pairs: dict[str, str | None] = {}
    for one in elements:
        key, to = one if isinstance(one, list) else (one, None)
        pairs |= {key: to} if isinstance(key, str) and isinstance(to, str | None) else {}
    plain = len(pairs) == len(elements)
    return NamedSet(name, version, pairs) if plain and version and name in egress.SETS else None


def _ours(listing: str, table: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """What is in our table, (kind, body) each, of a listing that may have those of others too."""
    for item in json.loads(listing)["nftables"]:
        ((kind, body),) = item.items()
        if body.get("family") == "inet" and body.get("name" if kind == "table" else "table") == table:
            yield kind, body


def items(
    chains: Iterable[Chain], table: str = PLAIN_TABLE, sets: Iterable[NamedSet] = ()
) -> Iterable[Mapping[str, Any]]:
    """As `nft -j list` has them once they are loaded."""
    own = {"family": "inet", "table": table}
    return [
        *({"map" if one.is_map else "set": {**own, **_listed(one)}} for one in sets),
        *(
            {"chain": {**own, "name": chain.name, "type": chain.kind, "hook": chain.hook, "prio": chain.priority}}
            for chain in chains
        ),
        *(
            {"rule": {**own, "chain": chain.name, "comment": rule.name, "expr": list(rule.expressions)}}
            for chain in chains
            for rule in chain.rules
        ),
    ]


def _listed(one: NamedSet) -> Mapping[str, Any]:
    elements = [key if to is None else [key, to] for key, to in one.elements.items()]
    return {"name": one.name, "type": f"ipv{one.version}_addr", "elem": elements}


def script(chains: Iterable[Chain], table: str = PLAIN_TABLE, sets: Iterable[NamedSet] = ()) -> str:
    """For `nft -f`: replaces our table, and nothing else, in one transaction."""
    lines = [f"table inet {table}", f"delete table inet {table}", f"table inet {table} {{"]
    for one in sets:
        address = f"ipv{one.version}_addr"
        kind, of = ("map", f"{address} : {address}") if one.is_map else ("set", address)
        elements = ", ".join(key if to is None else f"{key} : {to}" for key, to in sorted(one.elements.items()))
        lines += [f"\t{kind} {one.name} {{", f"\t\ttype {of};", f"\t\telements = {{ {elements} }}", "\t}"]
    for chain in chains:
        lines.append(f"\tchain {chain.name} {{")
        lines.append(f"\t\ttype {chain.kind} hook {chain.hook} priority {chain.priority}; policy accept;")
        lines += [f'\t\t{rule_text(rule.expressions)} comment "{rule.name}"' for rule in chain.rules]
        lines.append("\t}")
    return "\n".join([*lines, "}", ""])


def rule_text(expressions: Iterable[Expression]) -> str:
    """A rule in nftables' own syntax; counters, which change by themselves, are left out."""
    return " ".join(_statement(one) for one in expressions if "counter" not in one)


def _heading(kind: str | None, hook: str | None, priority: int | None, policy: str | None = "accept") -> str:
    return f"{kind} hook {hook} priority {priority}; policy {policy}" if kind else "not hooked"


def _statement(expression: Expression) -> str:
    ((kind, body),) = expression.items()
    if kind == "match":
        # "in" is how nft lists a test of flags, "==" one of equality; both are written without an operator.
        # Of bits it is not understood otherwise.
        implied = body["op"] in ("==", "in") and "&" not in body["left"]
        operator = "" if implied else body["op"] + " "
        left = _value(body["left"])
        if "fib" in body["left"] and body["right"] in (False, True):  # whether there is such a route
            return f"{left} {operator}{'exists' if body['right'] else 'missing'}"
        right = spelling.protocol(body["right"]) if left == "meta l4proto" else body["right"]
        return f"{left} {operator}{_value(right, left in _QUOTED)}"
    if kind in ("dnat", "snat") and set(body) == {"family", "addr"}:
        return f"{kind} {body['family']} to {_value(body['addr'])}"
    if kind == "mangle":
        return f"{_value(body['key'])} set {_value(body['value'])}"
    if kind in _VERDICTS and body is None:
        return kind
    return json.dumps(expression, sort_keys=True)


def _value(value: Any, quoted: bool = False) -> str:
    if isinstance(value, list):
        return _value({"set": value}, quoted)
    if not isinstance(value, Mapping):
        return f'"{value}"' if quoted else str(value)
    ((kind, body),) = value.items()
    if kind == "set":
        return "{ " + ", ".join(sorted(_value(item, quoted) for item in spelling.elements(body))) + " }"
    if kind in ("&", "|") and len(body) == 2:
        return f"{_value(body[0])} {kind} {_value(body[1])}"
    if kind == "map":
        return f"{_value(body['key'])} map {_value(body['data'])}"
    if kind == "prefix":
        return f"{body['addr']}/{body['len']}"
    if kind == "payload" and "protocol" in body:
        return f"{body['protocol']} {body['field']}"
    if kind == "meta":
        return str(body["key"]) if body["key"] in _BARE else f"meta {body['key']}"
    if kind == "fib":  # some versions list a single flag by itself
        flags = [body["flags"]] if isinstance(body["flags"], str) else body["flags"]
        return f"fib {' . '.join(flags)} {body['result']}"
    if kind == "ct" and set(body) <= {"key", "dir"}:
        return " ".join(["ct", *([body["dir"]] if "dir" in body else []), body["key"]])
    return json.dumps(value, sort_keys=True)


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    number, unique = 1, name if name != "unnamed" else "unnamed-1"
    while unique in taken:
        number += 1
        unique = f"{name}-{number}"
    return unique


__all__ = ["Rule", "Table", "described", "observed", "rule_text", "script"]
