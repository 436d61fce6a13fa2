"""Routes of a mesh that a host's rules have the LAN's packets pass by, since they ask other tables first. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pulumi_wgnode.hosts.networks.host_networks import SENDING, Index, There, lan_links, network_of, overlap, routes
from pulumi_wgnode.hosts.networks.network import lan_names
from pulumi_wgnode.hosts.networks.routing import LOCAL, MAIN, Route, Rule
from wgnode.topology.model import Network


def passed_over(index: Index, host: There, bad: set[Network]) -> Iterator[str]:
    """Not of networks that are refused (`bad`), and as far as a packet from the LAN that has no mark is concerned."""
    lan = [network_of(entry) for link in lan_links(host) for entry in link["addr_info"] if entry["scope"] == "global"]
    names = set(lan_names(host.own))
    for version in (4, 6):
        settled = set(bad)
        for rule in sorted(host.routing.rules, key=lambda rule: rule.priority):
            if rule.to.version != version or rule.table == LOCAL or not _meets(rule, lan, names):
                continue
            if rule.table != MAIN:
                yield from _passed_by(rule, index, host, settled)
            elif rule.suppressed < 1 and _covers(rule, lan):
                settled |= {one.network for one in index.overlapping(rule.to) if rule.to.supernet_of(one.network)}  # type: ignore[arg-type]


def _passed_by(rule: Rule, index: Index, host: There, settled: set[Network]) -> Iterator[str]:
    if rule.action in SENDING:
        found = [Route(rule.to, kind=rule.action, table="")]
    else:
        tables = (route for route in routes(host) if route.table == rule.table and route.to.version == rule.to.version)
        found = [route for route in tables if route.kind in SENDING and route.to.prefixlen > rule.suppressed]
    for route in found:
        hidden = [w for w in index.overlapping(route.to) if w.network not in settled and overlap(w.network, rule.to)]
        hidden = [w for w in hidden if route.to.prefixlen < w.network.prefixlen or route.to == w.network]
        if hidden:
            yield (
                f"the host's rule `{rule.text}` comes before its main table and has packets of the LAN to"
                f" {first(hidden)} go by `{route}`, not into the mesh; `ip rule add to {hidden[0].network} lookup main"
                f" priority {max(rule.priority - 1, 1)}` would come before it"
            )


def _meets(rule: Rule, lan: list[Network], names: set[str]) -> bool:
    """Whether it is for an ordinary packet that comes from somewhere in the LAN."""
    from_lan = rule.source.prefixlen == 0 or any(overlap(network, rule.source) for network in lan)
    fits = rule.ordinary and from_lan and (not rule.interface or rule.interface in names)
    return fits != rule.inverted


def _covers(rule: Rule, lan: list[Network]) -> bool:
    """Whether it is for packets from anywhere in the LAN."""
    if rule.inverted:
        return not rule.ordinary
    ours = [network for network in lan if network.version == rule.source.version]
    return all(rule.source.supernet_of(network) for network in ours)  # type: ignore[arg-type]


def first(ones: Sequence[object]) -> str:
    return f"{ones[0]}" + (f" (and {len(ones) - 1} more)" if len(ones) > 1 else "")
