"""Firewalls of others on a host that would drop what a gateway needs forwarded. Pure: from `nft -j list ruleset`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wgnode.firewall.rules import PLAIN_TABLE, PLAIN_TRANSIT

_OWNERS = {"DOCKER-USER": "Docker", "DOCKER-FORWARD": "Docker", "DOCKER": "Docker", "ufw-before-forward": "ufw"}
_BLOCKING = ("drop", "reject")


@dataclass(frozen=True)
class Foreign:
    """A base chain that drops what it was not told to accept, e.g. "ip filter FORWARD (Docker)"."""

    family: str
    table: str
    chain: str
    hook: str
    owner: str | None
    passes_us: bool
    ports: frozenset[int] = frozenset()  # that some rule of the table accepts
    opaque: bool = False  # has rules that nft cannot show (iptables matches), so `ports` may lack some
    transit: str = PLAIN_TRANSIT  # the link that it has to let through

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.chain}" + (f" ({self.owner})" if self.owner else "")

    def blocks_port(self, port: int) -> bool:
        """As far as can be told."""
        return self.hook == "input" and not self.opaque and port not in self.ports

    @property
    def way_out(self) -> str:
        """Commands that let the gateway through."""
        if self.owner == "Docker" or self.table == "filter":
            chain = "DOCKER-USER" if self.owner == "Docker" else self.chain
            program = "iptables" if self.family == "ip" else "ip6tables"
            program += "-legacy" if self.owner == "iptables-legacy" else ""
            return "; ".join(f"{program} -I {chain} {way} {self.transit} -j ACCEPT" for way in ("-i", "-o"))
        if self.owner == "firewalld":
            return f"firewall-cmd --permanent --zone=trusted --add-interface={self.transit}; firewall-cmd --reload"
        where = f"{self.family} {self.table} {self.chain}"
        return (
            f"nft insert rule {where} iifname {self.transit} accept;"
            f" nft insert rule {where} oifname {self.transit} accept"
        )


def foreign(listing: str, transit: str = PLAIN_TRANSIT) -> list[Foreign]:
    """Seen from the gateway on the link `transit`. Those on the input and forward hooks, in the ruleset's order."""
    items = json.loads(listing)["nftables"] if listing.strip() else []
    rules = [item["rule"] for item in items if "rule" in item and not _ours(item["rule"])]
    names: dict[tuple[str, str], set[str]] = {}
    for item in items:
        if "chain" in item:
            names.setdefault((item["chain"]["family"], item["chain"]["table"]), set()).add(item["chain"]["name"])
    found = []
    for chain in (item["chain"] for item in items if "chain" in item):
        if chain.get("hook") not in ("input", "forward") or _ours(chain):
            continue
        table = (chain["family"], chain["table"])
        own = [rule for rule in rules if _chain(rule) == (*table, chain["name"])]
        if chain.get("policy") == "drop" or (own and _blocks(own[-1])):
            passes = any(_mentions(rule, transit) for rule in rules if (rule["family"], rule["table"]) == table)
            owner = _owner(chain["table"], names[table])
            ports, opaque = _accepted_ports([rule for rule in rules if (rule["family"], rule["table"]) == table])
            found.append(Foreign(*table, chain["name"], chain["hook"], owner, passes, ports, opaque, transit))
    return found


def legacy(rules: str, family: str, transit: str = PLAIN_TRANSIT) -> list[Foreign]:
    """From `iptables-legacy -S`, whose rules nft does not see."""
    passes = any(transit in line and "-j ACCEPT" in line for line in rules.splitlines())
    return [
        Foreign(family, "filter", chain, chain.lower(), "iptables-legacy", passes, opaque=True, transit=transit)
        for chain in ("INPUT", "FORWARD")
        if f"-P {chain} DROP" in rules.splitlines()
    ]


def _accepted_ports(rules: Iterable[Mapping[str, Any]]) -> tuple[frozenset[int], bool]:
    ports: set[int] = set()
    opaque = False
    for rule in rules:
        opaque = opaque or any("xt" in expression for expression in rule["expr"])
        if any("accept" in expression for expression in rule["expr"]):
            for match in (expression["match"] for expression in rule["expr"] if "match" in expression):
                if match["left"].get("payload", {}).get("field") == "dport" and match["op"] == "==":
                    right = match["right"]
                    listed = right.get("set", []) if isinstance(right, Mapping) else [right]
                    ports.update(port for port in listed if isinstance(port, int))
    return frozenset(ports), opaque


def _ours(item: Mapping[str, Any]) -> bool:
    """In the table of any gateway of ours."""
    return bool(item["family"] == "inet" and re.fullmatch(rf"{PLAIN_TABLE}(_[0-9a-f]{{8}})?", item["table"]))


def _chain(rule: Mapping[str, Any]) -> tuple[str, str, str]:
    return rule["family"], rule["table"], rule["chain"]


def _blocks(rule: Mapping[str, Any]) -> bool:
    """Whether it drops or rejects whatever reaches it."""
    kinds = [kind for expression in rule["expr"] for kind in expression]
    return kinds[-1] in _BLOCKING and all(kind in ("counter", "log", "limit", *_BLOCKING) for kind in kinds)


def _mentions(rule: Mapping[str, Any], transit: str) -> bool:
    accepts = any("accept" in expression or "jump" in expression or "goto" in expression for expression in rule["expr"])
    return accepts and transit in json.dumps(rule["expr"])


def _owner(table: str, chains: Iterable[str]) -> str | None:
    if table == "firewalld":
        return "firewalld"
    return next((owner for name, owner in _OWNERS.items() if name in set(chains)), None)
