"""What a host routes where: all its tables and rules, read as `ip` tells them, each family by itself.

Pure but for what is asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from pulumi_wgnode.hosts.host import Result
from pulumi_wgnode.hosts.query import Query
from wgnode.topology.model import Network

MAIN, LOCAL = "main", "local"
_EVERYTHING = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}
# A host without IPv6 says nothing to the second half.
_READ = """for family in 4 6; do
    ip -j "-$family" route show table all; echo "--"; ip -j "-$family" rule; echo "--"
done 2>/dev/null"""


@dataclass(frozen=True)
class Route:
    """`gateways` are its next hops, `metric` 0 where none is told; one that drops is of another `kind` than unicast.

    `devices` are those of all next hops whose link is alive. `source` is from where alone it is for, as IPv6 has such;
    `special` ones are for packets of one type of service alone.
    """

    to: Network
    kind: str = "unicast"
    table: str = MAIN
    device: str = ""
    gateways: tuple[IPv4Address | IPv6Address, ...] = ()
    protocol: str = "boot"
    metric: int = 0
    devices: tuple[str, ...] = field(default=(), compare=False)
    source: Network | None = None
    special: bool = False

    @property
    def connected(self) -> bool:
        """Made of an address, or told by the network itself: machines are there without a router between."""
        return self.kind == "unicast" and not self.gateways and self.protocol in ("kernel", "ra", "dhcp")

    def __str__(self) -> str:
        parts = [] if self.kind == "unicast" else [self.kind]
        parts.append("default" if self.to.prefixlen == 0 else str(self.to))
        parts += [f"from {self.source}"] if self.source else []
        parts += [f"via {gateway}" for gateway in self.gateways]
        parts += [f"dev {self.device}"] if self.device else []
        parts += [f"metric {self.metric}"] if self.metric else []
        parts += [] if self.table == MAIN else [f"table {self.table}"]
        return " ".join(parts)


@dataclass(frozen=True)
class Rule:
    """What packets it is for, and where it sends them: to a table, or to none (`action`); `raw` is all that `ip` says.

    `suppressed`: routes of that table with a prefix no longer than this don't count. `text` is as `ip rule` has it.
    """

    priority: int
    table: str
    action: str
    source: Network
    to: Network
    interface: str
    suppressed: int
    inverted: bool
    ordinary: bool  # asks for no mark, port, user or the like, which the LAN's packets don't have
    text: str
    version: int = 4
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Routing:
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()


def parse(said: Result) -> Routing:
    parts = [*said.stdout.split("--\n"), "", "", "", ""][:4]
    routes = [route for text, version in zip(parts[::2], (4, 6), strict=True) for route in _routes(text, version)]
    rules = [rule for text, version in zip(parts[1::2], (4, 6), strict=True) for rule in _rules(text, version)]
    return Routing(tuple(routes), tuple(rules))


QUERY: Query[Routing] = Query(["sh", "-c", _READ], parse)


def _routes(text: str, version: int) -> Iterator[Route]:
    for raw in _listed(text):
        hops = [raw, *raw.get("nexthops", ())]
        vias = (hop.get("gateway") or hop.get("via", {}).get("host") for hop in hops)
        yield Route(
            to=_network(raw["dst"], None, version),
            kind=raw.get("type", "unicast"),
            table=str(raw.get("table", MAIN)),
            device=next((hop["dev"] for hop in hops if hop.get("dev")), ""),
            gateways=tuple(dict.fromkeys(ip_address(via) for via in vias if via)),
            protocol=str(raw.get("protocol", "boot")),
            metric=int(raw.get("metric", 0)),
            devices=tuple(hop["dev"] for hop in hops if hop.get("dev") and "dead" not in hop.get("flags", ())),
            source=_network(raw["from"], None, version) if "from" in raw else None,
            special="tos" in raw and "encap" not in raw,
        )


def _rules(text: str, version: int) -> Iterator[Rule]:
    for raw in _listed(text):
        strange = set(raw) - _UNDERSTOOD
        yield Rule(
            priority=int(raw.get("priority", 0)),
            table=str(raw.get("table", "")),
            action=str(raw.get("action", "")),
            source=_network(raw.get("src", "all"), raw.get("srclen"), version),
            to=_network(raw.get("dst", "all"), raw.get("dstlen"), version),
            interface=str(raw.get("iif", "")),
            suppressed=int(raw.get("suppress_prefixlen", -1)),
            inverted="not" in raw,
            ordinary=not strange,
            text=_rule_text(raw),
            version=version,
            raw=raw,
        )


# Of a rule's JSON; `goto` and `nop` send nowhere.
_UNDERSTOOD = {"priority", "table", "action", "src", "srclen", "dst", "dstlen", "iif", "suppress_prefixlen", "not"}
_UNDERSTOOD |= {"protocol"}


def _rule_text(raw: Mapping[str, Any]) -> str:
    parts = [f"{raw.get('priority', 0)}:"] + (["not"] if "not" in raw else [])
    for word, name in (("from", "src"), ("to", "dst")):
        if name in raw:
            parts.append(f"{word} {raw[name]}" + (f"/{raw[name + 'len']}" if f"{name}len" in raw else ""))
    parts += [f"{name} {raw[name]}" for name in ("iif", "oif", "fwmark") if name in raw]
    parts.append(f"lookup {raw['table']}" if "table" in raw else str(raw.get("action", "")))
    return " ".join(parts)


def _network(text: str, length: int | None, version: int) -> Network:
    if text in ("default", "all"):
        return _EVERYTHING[version]
    return ip_network(text if length is None else f"{text}/{length}", strict=False)


def _listed(text: str) -> list[dict[str, Any]]:
    return list(json.loads(text, object_pairs_hook=_first)) if text.strip() else []


def _first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A route that encapsulates has the outer addresses behind its own under the same names."""
    return dict(reversed(pairs))
