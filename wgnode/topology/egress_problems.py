"""Everything that can be wrong with a site's public addresses of devices beyond their shape, as user_problems.py has it
of the others: on plain configuration, passing over what isn't there or has another type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from wgnode.topology import egress, networks
from wgnode.topology.model import Network, Topology
from wgnode.topology.networks import Address
from wgnode.topology.transit import DEFAULT_V4, DEFAULT_V6
from wgnode.topology.users import FAMILIES, Users
from wgnode.topology.validate import Problem

POOL, ADDRESSES = "egressPool", "egressAddresses"


def problems(raw: Mapping[str, Any], machines: Mapping[Address, str]) -> Iterator[Problem]:
    """Of what stands in the site's own stack file; `machines` are addresses that it gives to others."""
    pools: dict[int, Network] = {}
    yield from _pool_problems(raw, pools)
    groups, taken = _mapping(raw, "groups"), dict(machines)
    saying = [
        name for name, group in groups.items() if isinstance(group, Mapping) and group.get("egress") == egress.POOL
    ]
    if saying and not raw.get(POOL):
        yield Problem(
            f".{POOL}",
            f"is missing: group {saying[0]!r} says `egress: pool`; give the public addresses that its members' devices"
            " get, such as {v4: 203.0.113.32/28}, or say `egress: masquerade`",
        )
    needed = dict.fromkeys(pools, 0)
    unread = not pools or any(_mapping(raw, POOL).get(f) and int(f[1]) not in pools for f in FAMILIES)
    for path, whose, device, group in _devices(raw, saying):
        yield from _address_problems(path, whose, device, pools, taken, unread=unread)
        for version in pools if group else ():
            if version in _versions(device.get("addresses")):
                needed[version] += 1
                if _is_known(device.get(ADDRESSES)) and version not in _versions(device.get(ADDRESSES)):
                    user, _, name = whose.partition("/")
                    yield Problem(
                        f"{path}.{ADDRESSES}",
                        f"device {whose} has none of {pools[version]}, which group {group!r} asks for (`egress: pool`);"
                        f" `wgnode user add {user} --device {name}` gives it one",
                    )
    for version, count in needed.items():
        if count > (there := usable(pools[version], bool(_mapping(raw, POOL).get("routed")))):
            yield Problem(
                f".{POOL}.v{version}",
                f"{pools[version]} has {there} addresses for devices, and {count} need one; give a larger network, or a"
                " group `egress: masquerade`",
            )


def mesh_problems(topology: Topology, name: str, users: Users) -> Iterator[str]:
    """Of a site that is in the mesh: its public addresses are nobody's inside."""
    inside = [(networks.parse(lan), f"site {site!r}: lan") for site, one in topology.sites.items() for lan in one.lans]
    inside += [(network, "the tunnel's prefix") for network in topology.tunnel]
    for pool in users.egress_pool:
        for network, whose in inside:
            if pool.version == network.version and pool.overlaps(network):
                yield (
                    f"site {name!r}: {POOL} {pool} overlaps {whose} {network}; devices have their own addresses there"
                    " already (`pool`), and these are for outside"
                )


def usable(pool: Network, routed: bool) -> int:
    return pool.num_addresses - len(ends(pool, routed))


def ends(pool: Network, routed: bool) -> list[Address]:
    """What may be an uplink's network or broadcast address, or every router's; of a routed prefix there are none."""
    if routed or pool.max_prefixlen - pool.prefixlen < 2:
        return []
    return [pool.network_address, pool.broadcast_address] if pool.version == 4 else [pool.network_address]


def _pool_problems(raw: Mapping[str, Any], pools: dict[int, Network]) -> Iterator[Problem]:
    said = _mapping(raw, POOL)
    if isinstance(raw.get(POOL), Mapping) and not any(said.get(family) for family in FAMILIES):
        yield Problem(f".{POOL}", "no network: give v4 (like 203.0.113.32/28), v6 (like 2001:db8:1::40/122) or both")
    for family in FAMILIES:
        if isinstance(text := said.get(family), str):
            try:
                pools[int(family[1])] = networks.parse(text, int(family[1]))
            except ValueError as error:
                yield Problem(f".{POOL}.{family}", str(error))
    for text in _mapping(said, "released"):
        try:
            ip_address(str(text))
        except ValueError:
            yield Problem(f".{POOL}.released.{text}", f"{text!r} is no address; those that were devices' stand here")
    for version, pool in pools.items():
        for what, text in _inside(raw):
            if (other := _network(text)) and other.version == version and other.overlaps(pool):
                yield Problem(
                    f".{POOL}.v{version}", f"{pool} overlaps {what} {other}; it is for addresses outside of the site"
                )


def _inside(raw: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for family in FAMILIES:
        yield "pool", _mapping(raw, "pool").get(family)
    transit = _mapping(_mapping(raw, "gateway"), "transit")
    yield "the transit network", transit.get("v4", DEFAULT_V4)
    yield "the transit network", transit.get("v6", DEFAULT_V6)


def _devices(raw: Mapping[str, Any], saying: list[str]) -> Iterator[tuple[str, str, Mapping[str, Any], str]]:
    """Each device's path and label, and the group that asks for an address of its own, "" where none does."""
    for user, one in _mapping(raw, "users").items():
        if isinstance(one, Mapping):
            groups = one.get("groups")
            group = next((name for name in groups if name in saying), "") if isinstance(groups, list) else ""
            for name, device in _mapping(one, "devices").items():
                if isinstance(device, Mapping):
                    yield f".users.{user}.devices.{name}", f"{user}/{name}", device, group


def _address_problems(
    path: str,
    whose: str,
    device: Mapping[str, Any],
    pools: Mapping[int, Network],
    taken: dict[Address, str],
    *,
    unread: bool,
) -> Iterator[Problem]:
    """`unread`: there are networks that could not be read, or none."""
    said, versions = device.get(ADDRESSES), set[int]()
    for number, text in enumerate(said if isinstance(said, list) else ()):
        here = f"{path}.{ADDRESSES}[{number}]"
        try:
            address = ip_address(text)
        except ValueError:
            continue  # its shape is judged elsewhere
        if address.version in versions:
            yield Problem(here, f"device {whose} has two addresses of IPv{address.version} outside; one a family")
        versions.add(address.version)
        if address not in pools.get(address.version, ()) and (address.version in pools or not unread):
            listed = ", ".join(map(str, pools.values()))
            yield Problem(here, f"device {whose}: {address} is outside of {POOL} ({listed})")
        if (other := taken.setdefault(address, f"device {whose}")) != f"device {whose}":
            yield Problem(here, f"device {whose}: {address} is {other}'s already; `wgnode user add` takes a free one")


def _is_known(said: Any) -> bool:
    """Not what only an update will tell."""
    return said is None or (isinstance(said, list) and all(isinstance(one, str) for one in said))


def _versions(said: Any) -> set[int]:
    found: set[int] = set()
    for text in said if isinstance(said, list) else ():
        try:
            found.add(ip_address(text).version)
        except ValueError:
            continue
    return found


def _network(text: Any) -> Network | None:
    try:
        return networks.parse(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _mapping(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, Mapping) else {}
