"""What a change does to a site, in words that are the same for all sites to which it does the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from wgnode.nodeconfig import LinkConfig, NodeConfig, PeerConfig
from wgnode.policy.model import Policy, Rule
from wgnode.rollout.picture import Picture, is_token
from wgnode.topology.compile import Route


def changes(before: Picture | None, after: Picture | None) -> list[str]:
    """A line for each; + is new, - goes, ~ becomes another."""
    if before is None or after is None:
        return (
            ["+ its stack file is new, or could not be read before"]
            if after
            else ["- the site leaves"]
            if before
            else []
        )
    return [
        *_node(before.node, after.node),
        *_peers("peer", before.node.peers, after.node.peers),
        *_peers("device", before.node.devices, after.node.devices),
        *_routes(before.routes, after.routes),
        *_rules(before, after),
        *(f"~ {what}" for what in _values(before.settings, after.settings)),
    ]


def _node(before: NodeConfig, after: NodeConfig) -> Iterator[str]:
    if before.public_keys != after.public_keys:
        yield f"~ its key{_not_made(after.public_keys)}"
    yield from _listed("tunnel address", before.addresses, after.addresses)
    yield from _link("transit", before.transit, after.transit)
    yield from _link("LAN", before.lan, after.lan)
    yield from _access(before.policy, after.policy)
    yield from (f"~ {what}" for what in fields_changed(before, after, _TOLD))


def _access(before: Policy | None, after: Policy | None) -> Iterator[str]:
    """Rules by their places in the stack file; what else differs, as the LANs of other sites, in one line."""
    if before == after:
        return
    old, new = (_access_rules(policy) for policy in (before, after))
    yield from (f"+ access by {rule}" for rule in sorted(new.keys() - old.keys()))
    yield from (f"- access by {rule}" for rule in sorted(old.keys() - new.keys()))
    yield from (f"~ access by {rule}" for rule in sorted(old.keys() & new.keys()) if old[rule] != new[rule])
    if old == new:
        yield "~ access policy: classes of devices, or what is not the internet"


def _access_rules(policy: Policy | None) -> dict[str, set[Rule]]:
    rules: dict[str, set[Rule]] = {}
    for each in policy.classes if policy else ():
        for rule in (*each.outgoing, *each.incoming):
            rules.setdefault(rule.id, set()).add(rule)
    return rules


def _link(name: str, before: LinkConfig, after: LinkConfig) -> Iterator[str]:
    yield from _listed(f"{name} address", before.addresses, after.addresses)
    if before.mac != after.mac:
        yield f"~ {name} card: another MAC address"
    yield from (f"~ {name} {what}" for what in fields_changed(before, after, ("addresses", "mac")))


def _peers(what: str, before: Iterable[PeerConfig], after: Iterable[PeerConfig]) -> Iterator[str]:
    """A peer that only has another name is known by its key."""
    old, new = ({peer.name: peer for peer in peers} for peers in (before, after))
    renamed = dict(_renamed(old, new))
    for name in sorted(new.keys() - old.keys()):
        if name in renamed:
            yield f"~ {what} {renamed[name]} is called {name}"
        else:
            yield f"+ {what} {name}{_not_made(new[name].public_keys)}"
    for name in sorted(old.keys() - new.keys() - set(renamed.values())):
        yield f"- {what} {name}"
    pairs = {**{name: name for name in old.keys() & new.keys()}, **renamed}
    for name in sorted(pairs):
        yield from (f"~ {what} {name}: {change}" for change in _peer(old[pairs[name]], new[name]))


def _renamed(old: Mapping[str, PeerConfig], new: Mapping[str, PeerConfig]) -> Iterator[tuple[str, str]]:
    gone = {peer.public_keys: name for name, peer in old.items() if name not in new}
    fresh = {name: peer.public_keys for name, peer in new.items() if name not in old}
    yield from ((name, gone[keys]) for name, keys in fresh.items() if keys in gone)


def _peer(before: PeerConfig, after: PeerConfig) -> Iterator[str]:
    if before.public_keys != after.public_keys:
        yield f"key{_not_made(after.public_keys)}"
    yield from fields_changed(before, after, ("name", "public_keys", "allowed_ips"))
    old, new = set(before.allowed_ips), set(after.allowed_ips)
    yield from (f"allowed + {network}" for network in sorted(new - old))
    yield from (f"allowed - {network}" for network in sorted(old - new))


def _routes(before: Iterable[Route], after: Iterable[Route]) -> Iterator[str]:
    """Without the next hop, which is each site's own; where that alone is another one, it is said."""
    old, new = ({route.to: route.via for route in routes} for routes in (before, after))
    yield from (f"+ route {to}" for to in new if to not in old)
    yield from (f"- route {to}" for to in old if to not in new)
    yield from (f"~ route {to}: via {old[to]} → {via}" for to, via in new.items() if to in old and old[to] != via)


def _rules(before: Picture, after: Picture) -> Iterator[str]:
    old, new = before.rules.rules, after.rules.rules
    kept: Set[str] = old.keys() & new.keys()
    yield from (f"+ rule {name}: {text}" for name, text in new.items() if name not in old)
    yield from (f"- rule {name}: {text}" for name, text in old.items() if name not in new)
    yield from (f"~ rule {name}: {old[name]} → {new[name]}" for name in new if name in old and old[name] != new[name])
    for chain, heading in after.rules.chains.items():
        orders = [[rule for rule in one.rules.order.get(chain, ()) if rule in kept] for one in (before, after)]
        if orders[0] != orders[1] or before.rules.chains.get(chain, heading) != heading:
            yield f"~ chain {chain}: rules in another order, or another priority"


def _values(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"{name}: {before.get(name, 'none')} → {after.get(name, 'none')}"


def fields_changed(before: Any, after: Any, told: Iterable[str]) -> Iterator[str]:
    """Of two of one dataclass, each field of which nothing was said yet: one that is added later is not missed."""
    for name in (one.name for one in fields(after) if one.name not in told):
        if (old := getattr(before, name)) != (new := getattr(after, name)):
            yield f"{_WORDS.get(name, name.replace('_', ' '))}: {_shown(old)} → {_shown(new)}"


def _listed(what: str, before: tuple[str, ...], after: tuple[str, ...]) -> Iterator[str]:
    old, new = set(before), set(after)
    if old == new and before != after:
        yield f"~ {what}: {_shown(before)} → {_shown(after)}"
    yield from (f"+ {what} {one}" for one in sorted(new - old))
    yield from (f"- {what} {one}" for one in sorted(old - new))


def _not_made(keys: tuple[bytes, ...]) -> str:
    return " (its key is not made yet)" if is_token(keys[0]) else ""


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    named = asdict(value) if is_dataclass(value) and not isinstance(value, type) else None
    return " ".join(str(one) for one in named.values() if one is not None) if named else str(value)


_TOLD = ("public_keys", "addresses", "transit", "lan", "peers", "devices", "policy")
_WORDS = {"mesh": "the mesh's name", "name": "its name", "mtu": "MTU", "proxy_arp": "proxy ARP", "gateways": "next hop"}
