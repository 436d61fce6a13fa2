"""The compiled policy as a node's configuration has it: plain structures, each in one way only."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from wgnode.policy.model import Class, Policy, Rule


def written(policy: Policy) -> dict[str, Any]:
    return {
        "classes": [
            {"outgoing": [_rule(one) for one in each.outgoing], "incoming": [_rule(one) for one in each.incoming]}
            for each in policy.classes
        ],
        "known": list(policy.known),
        "own": list(policy.own),
    }


def read(raw: Any) -> Policy:
    """What `written` gave. Other forms of the same are for the caller to find, by writing it again. Raises ValueError,
    KeyError, TypeError, AttributeError."""
    classes = tuple(Class(_rules(one["outgoing"]), _rules(one["incoming"])) for one in raw["classes"])
    if not classes or classes[0] != Class():
        raise ValueError("the first class of a policy allows nothing")
    return Policy(
        classes,
        tuple(spelled(ip_network(text)) for text in raw["known"]),
        tuple(spelled(ip_address(text)) for text in raw["own"]),
    )


def spelled(one: IPv4Address | IPv4Network | IPv6Address | IPv6Network) -> str:
    """The same by every Python: from 3.13 on, str() writes ::ffff:0:0/96 as ::ffff:0.0.0.0/96."""
    if isinstance(one, IPv6Network):
        return f"{spelled(one.network_address)}/{one.prefixlen}"
    if isinstance(one, IPv6Address) and one.ipv4_mapped is not None:
        high, low = divmod(int(one.ipv4_mapped), 1 << 16)
        return f"::ffff:{high:x}:{low:x}"
    return str(one)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "networks": list(rule.networks),
        "classes": list(rule.classes),
        "internet": rule.internet,
        "protocols": list(rule.protocols),
        "ports": [list(one) for one in rule.ports],
    }


def _rules(raw: Any) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            str(one["id"]),
            tuple(spelled(ip_network(text)) for text in one["networks"]),
            tuple(_number(number, 0xFFFF) for number in one["classes"]),
            bool(one["internet"]),
            tuple(_number(number, 0xFF) for number in one["protocols"]),
            tuple(_ports(low, high) for low, high in one["ports"]),
        )
        for one in raw
    )


def _ports(low: Any, high: Any) -> tuple[int, int]:
    if _number(low, 0xFFFF) > _number(high, 0xFFFF):
        raise ValueError(f"{low} to {high} are no ports")
    return low, high


def _number(value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{value!r:.40} is no number of 0 to {most}")
    return value
