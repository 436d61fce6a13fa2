"""The expressions that our rules are made of, as `nft --json` has them (libnftables-json(5))."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Any

Network = IPv4Network | IPv6Network
Expression = Mapping[str, Any]
ACCEPT: Expression = {"accept": None}
DROP: Expression = {"drop": None}
MARK: Expression = {"meta": {"key": "mark"}}
LET_IN = 0x01000000
"""A bit of the packet's mark, only within the hooks input and forward: one of the tables lets it in. The packet passes
the base chains of all of them, so none may drop before each has had its say (docs/decisions/two-firewalls.md)."""


@dataclass(frozen=True)
class Rule:
    """Its name is its comment in nftables, unique in the table."""

    name: str
    expressions: tuple[Expression, ...]


@dataclass(frozen=True)
class NamedSet:
    """Addresses of one version of IP, each with what it is mapped to, or all with None; named after what it is for, and
    the version ("egress-out-v4")."""

    name: str
    version: int
    elements: Mapping[str, str | None]

    @property
    def kind(self) -> str:
        return self.name.rpartition("-")[0]

    @property
    def is_map(self) -> bool:
        return any(to is not None for to in self.elements.values())


def merged(networks: Iterable[Network]) -> list[Network]:
    """nftables refuses sets whose prefixes overlap."""
    return list(collapse_addresses(networks))  # type: ignore[type-var]  # one family at a time


def coming_from(interface: Any) -> Expression:
    return match({"meta": {"key": "iifname"}}, interface)


def going_to(interface: str) -> Expression:
    return match({"meta": {"key": "oifname"}}, interface)


def set_mark(operator: str, bits: int) -> Expression:
    return {"mangle": {"key": MARK, "value": {operator: [MARK, bits]}}}


def established() -> Expression:
    return match({"ct": {"key": "state"}}, set_of(["established", "related"]))


def udp_to(port: int) -> Expression:
    return match(payload("udp", "dport"), port)


def match(left: Expression, right: Any, operator: str = "==") -> Expression:
    return {"match": {"op": operator, "left": left, "right": right}}


def payload(protocol: str, field: str) -> Expression:
    return {"payload": {"protocol": protocol, "field": field}}


def set_of(items: Sequence[Any]) -> Any:
    return items[0] if len(items) == 1 else {"set": list(items)}


def prefix(network: Network) -> Any:
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    return {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}


def family(network: Network) -> str:
    return "ip" if network.version == 4 else "ip6"


def sources(networks: Iterable[Network], version: int) -> Expression | None:
    """That a packet comes from one of them; None where none is of that version of IP."""
    mine = merged(network for network in networks if network.version == version)
    return match(payload(family(mine[0]), "saddr"), set_of([prefix(one) for one in mine])) if mine else None


PASSED: tuple[Expression, ...] = (set_mark("|", LET_IN), ACCEPT)
"""Let in, for all tables that judge the packet."""
CLEARED = set_mark("&", 0xFFFFFFFF ^ LET_IN)
UNMARKED = match({"&": [MARK, LET_IN]}, 0)
FROM_BRIDGE = match({"meta": {"key": "iifkind"}}, "bridge")
