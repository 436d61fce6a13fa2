"""The firewalls of others on a host: what is asked of it, and what a gateway meets there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from pulumi_wgnode.hosts.host import Host, Result
from pulumi_wgnode.hosts.query import Query, ask
from wgnode.firewall.others.foreign import PLAIN_SITE, Foreign, foreign, legacy, saved, unread
from wgnode.firewall.others.packet import FAMILIES, Family, Site
from wgnode.firewall.others.walk import Language, Table

# What iptables has made, nft shows in part only; iptables itself tells all, and makes nothing by being asked. Listing
# the kernel's old tables would load them where they aren't in use. Bridges, all of them or one, such as ours, may show
# their frames to the rules of IP.
_IPTABLES = """for f in ip ip6; do
    grep -qs . /proc/net/${f}_tables_names && command -v ${f}tables-legacy-save >/dev/null &&
        echo "# $f" && ${f}tables-legacy-save 2>/dev/null
    command -v ${f}tables-nft-save >/dev/null && echo "# nft $f" && ${f}tables-nft-save 2>/dev/null
    for b in /proc/sys/net/bridge/bridge-nf-call-${f}tables /sys/class/net/*/bridge/nf_call_${f}tables; do
        [ "$(cat "$b" 2>/dev/null || echo 0)" = 0 ] || echo "# shown $f $b"
    done
done; true"""
_NO_PROGRAM = 127
FIREWALLS: dict[str, Query[Any]] = {
    "ruleset": Query(["nft", "-j", "list", "ruleset"], lambda said: _listing(said)),
    "iptables": Query(["sh", "-c", _IPTABLES], lambda said: said.stdout),
}


def _listing(said: Result) -> str:
    """Empty where there is no nft. What an nft cannot list, as that of Debian 12 dies of some sets of newer ones, is a
    listing of nothing that says so."""
    if said.code == _NO_PROGRAM or "not found" in said.stderr:
        return ""
    try:
        json.loads(said.stdout)
    except ValueError:
        reason = said.stderr.strip() or f"it exited with {said.code}"
        return json.dumps({"nftables": [], "unread": reason[-200:]})
    return said.stdout


def foreign_firewalls(host: Host, site: Site = PLAIN_SITE) -> list[Foreign]:
    """Those of others that drop what they were not told to accept, or what the gateway needs."""
    return of(ask(host, FIREWALLS), site)


def of(answers: Mapping[str, Any], site: Site = PLAIN_SITE) -> list[Foreign]:
    """From the answers to FIREWALLS."""
    found = answers["iptables"]
    site = replace(site, bridged=frozenset(family for family in FAMILIES if _shown(found, family, site.bridge)))
    others = foreign(answers["ruleset"], site, by_iptables(answers, "nft "))
    if answers["ruleset"] and (reason := json.loads(answers["ruleset"]).get("unread")):
        others.append(unread(reason, site))
    for family, rules in _parts(found, ""):
        others += legacy(rules, family, site)
    return others


def by_iptables(answers: Mapping[str, Any], kind: Literal["nft ", ""]) -> list[Table]:
    """What iptables itself tells: of those that are nft's too, or of the kernel's old tables."""
    language: Language = "iptables" if kind else "iptables-legacy"
    return [table for family, rules in _parts(answers["iptables"], kind) for table in saved(rules, family, language)]


def texts(answers: Mapping[str, Any]) -> list[str]:
    """All that iptables saves, of either kind."""
    return [rules for kind in ("nft ", "") for _, rules in _parts(answers["iptables"], kind)]


def _shown(text: str, family: Family, bridge: str) -> bool:
    """Whether a bridge shows its frames to the rules of IP."""
    return bool(re.search(rf"^# shown {family} (/proc/|/sys/class/net/{re.escape(bridge)}/)", text, re.MULTILINE))


def _parts(text: str, kind: str) -> Iterator[tuple[str, str]]:
    """Each family with what was said of it."""
    parts = re.split(r"^# ((?:nft |shown )?ip6?)\b.*$", text, flags=re.MULTILINE)
    for name, rules in zip(parts[1::2], parts[2::2], strict=True):
        if name in (f"{kind}ip", f"{kind}ip6"):
            yield name.removeprefix(kind), rules
