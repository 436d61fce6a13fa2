"""What a group of a site's stack file says of access: its shape, its values, and what is wrong with them; pure.

`reach` is `all` or a list of rules, and nothing where it is left out; `reachableFrom` is a list of rules. What no rule
allows is denied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

from wgnode.topology import networks
from wgnode.topology.validate import Problem

REACH, REACHABLE_FROM, REACH_ALL = "reach", "reachableFrom", "all"
EGRESS, NO_EGRESS = "egress", "none"
PROTOCOLS = {"tcp": (6,), "udp": (17,), "icmp": (1, 58)}
"""By name; of ICMP that of each family."""
_TARGETS = ("networks", "sites", "groups", "internet")
_WORDS = (*_TARGETS, "protocol", "ports")
_WITH_PORTS = ((6,), (17,))
_LIKE = "like - {networks: [10.1.0.0/24], protocol: tcp, ports: [443]}"
JSON = (str, int, float, list, Mapping, NoneType)
"""A value of another type is one that is not known yet."""


@dataclass(frozen=True)
class GroupRule:
    """`id` is its path in the stack file. `ports` are ranges, both ends in them."""

    id: str
    networks: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    internet: bool = False
    protocols: tuple[int, ...] = ()
    ports: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Group:
    """`reach` is None for all, `reachable_from` None where nothing is said. `internet`: whether who reaches all reaches
    that too, which is so where the group says how (`egress`)."""

    name: str
    reach: tuple[GroupRule, ...] | None
    reachable_from: tuple[GroupRule, ...] | None
    internet: bool = False

    @classmethod
    def of(cls, name: str, said: Mapping[str, Any]) -> Group:
        """From judged configuration."""
        reach, sources = said.get(REACH), said.get(REACHABLE_FROM)
        return cls(
            name,
            None if reach == REACH_ALL else _rules(f"groups.{name}.{REACH}", reach or ()),
            None if sources is None else _rules(f"groups.{name}.{REACHABLE_FROM}", sources),
            said.get(EGRESS) not in (None, NO_EGRESS),
        )

    @property
    def rules(self) -> tuple[GroupRule, ...]:
        """All that name something."""
        return (*(self.reach or ()), *(self.reachable_from or ()))


def problems(name: str, group: Mapping[str, Any], groups: Mapping[str, Any]) -> Iterator[Problem]:
    """Of what a group says; other keys than those two are somebody else's to judge."""
    for key in (REACH, REACHABLE_FROM):
        path, said = f".groups.{name}.{key}", group.get(key)
        if said is None or not isinstance(said, JSON) or (key == REACH and said == REACH_ALL):
            continue
        what = f"`{REACH_ALL}` or a list of rules" if key == REACH else "a list of rules"
        if not isinstance(said, list):
            yield Problem(path, f"group {name!r}: {key} is {what}, {_LIKE}")
            continue
        for number, rule in enumerate(said):
            yield from _rule_problems(f"{path}[{number}]", name, rule, groups)


def ports(said: Any) -> tuple[int, int]:
    """Of 443, "443" or "8000-8100". Raises ValueError."""
    text = str(said)
    low, dash, high = text.partition("-")
    parts = (low, high if dash else low)
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) <= 5]
    if isinstance(said, bool) or len(numbers) != 2 or not 1 <= numbers[0] <= numbers[1] <= 0xFFFF:
        raise ValueError(f"{text!r:.40} is no port and no range of ports; write 443, or 8000-8100, of 1 to 65535")
    return numbers[0], numbers[1]


def protocols(said: Any) -> tuple[int, ...]:
    """Numbers of IP; none for all. Raises ValueError."""
    if said is None:
        return ()
    if isinstance(said, str) and said in PROTOCOLS:
        return PROTOCOLS[said]
    if type(said) is int and 0 <= said <= 0xFF:
        return (said,)
    raise ValueError(f"{said!r:.40} is no protocol; write {', '.join(PROTOCOLS)}, or a number of IP from 0 to 255")


def _rules(path: str, said: Any) -> tuple[GroupRule, ...]:
    return tuple(
        GroupRule(
            f"{path}[{number}]",
            tuple(str(networks.parse(text)) for text in rule.get("networks") or ()),
            tuple(rule.get("sites") or ()),
            tuple(rule.get("groups") or ()),
            bool(rule.get("internet")),
            protocols(rule.get("protocol")),
            tuple(ports(one) for one in rule.get("ports") or ()),
        )
        for number, rule in enumerate(said)
    )


def _rule_problems(path: str, name: str, rule: Any, groups: Mapping[str, Any]) -> Iterator[Problem]:
    if not isinstance(rule, JSON):
        return
    if not isinstance(rule, Mapping):
        yield Problem(path, f"group {name!r}: a rule is a mapping, {_LIKE}")
        return
    for word in rule:
        if word not in _WORDS:
            yield Problem(f"{path}.{word}", f"group {name!r}: a rule says {', '.join(_WORDS)}, not {str(word)!r:.40}")
    if not any(rule.get(word) for word in _TARGETS):
        yield Problem(path, f"group {name!r}: a rule names {', '.join(_TARGETS[:-1])} or `internet: true`, {_LIKE}")
    if not isinstance(rule.get("internet", False), bool) and isinstance(rule["internet"], JSON):
        yield Problem(f"{path}.internet", f"group {name!r}: internet is true, or left out")
    yield from _each(rule, path, name, "networks", networks.parse)
    yield from _each(rule, path, name, "sites", lambda text: text)
    yield from _each(rule, path, name, "groups", lambda text: _known(text, groups))
    yield from _each(rule, path, name, "ports", ports, (str, int))
    yield from _protocol_problems(path, name, rule)


def _protocol_problems(path: str, name: str, rule: Mapping[str, Any]) -> Iterator[Problem]:
    said = rule.get("protocol")
    if not isinstance(said, JSON):
        return
    try:
        numbers = protocols(said)
    except ValueError as error:
        yield Problem(f"{path}.protocol", f"group {name!r}: {error}")
        return
    if rule.get("ports") and numbers not in _WITH_PORTS:
        yield Problem(f"{path}.ports", f"group {name!r}: only tcp and udp have ports; add `protocol: tcp`, or udp")


def _each(
    rule: Mapping[str, Any],
    path: str,
    name: str,
    word: str,
    judge: Callable[[Any], object],
    types: tuple[type, ...] = (str,),
) -> Iterator[Problem]:
    """Of a rule's list, entry by entry. `judge` raises ValueError."""
    said = rule.get(word)
    if said is None or not isinstance(said, JSON):
        return
    if not isinstance(said, list) or not said:
        yield Problem(f"{path}.{word}", f"group {name!r}: {word} is a list of one or more, such as {_LIKE}")
        return
    for number, one in enumerate(said):
        if not isinstance(one, JSON):
            continue
        try:
            if not isinstance(one, types):
                raise ValueError(f"{one!r:.40} is none of {word}")
            judge(one)
        except ValueError as error:
            yield Problem(f"{path}.{word}[{number}]", f"group {name!r}: {error}")


def _known(text: str, groups: Mapping[str, Any]) -> None:
    if text not in groups:
        known = ", ".join(sorted(map(str, groups))) or "none"
        raise ValueError(f"there is no group {text!r:.40} (there are: {known})")
