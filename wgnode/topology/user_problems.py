"""Everything that can be wrong with a site's pool, groups and users beyond their shape, all at once.

`problems` works on the site's plain configuration (camelCase) and passes over what isn't there or has another type;
`mesh_problems` holds what it says against the mesh.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from wgnode.nodeconfig import decode_key
from wgnode.topology import access, egress_problems, networks
from wgnode.topology.groups import problems as group_problems
from wgnode.topology.model import Network, Topology
from wgnode.topology.networks import Address
from wgnode.topology.users import FAMILIES, NAME, Users
from wgnode.topology.validate import Problem

SECRET = "deviceSecret"  # noqa: S105 - the name of a setting


@dataclass
class _Taken:
    """Whose each address and key is, as far as it was read; `pool` has the networks that could be read, `unread` the
    versions of IP of the others."""

    pool: list[Network]
    unread: Set[int]
    addresses: dict[Address, str]
    keys: dict[bytes, str] = field(default_factory=dict)


def problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Of what stands in the site's own stack file."""
    pool: list[Network] = []
    yield from _pool_problems(raw, pool)
    yield from _group_problems(_mapping(raw, "groups"))
    said = {int(family[1]) for family in FAMILIES if _mapping(raw, "pool").get(family)}
    taken = _Taken(pool, said - {network.version for network in pool}, known_machines(raw))
    users = _mapping(raw, "users")
    for name, user in users.items():
        yield from _name_problem(f".users.{name}", "user", name)
        if isinstance(user, Mapping):
            yield from _user_problems(name, user, raw.get("groups"), taken)
    yield from egress_problems.problems(raw, known_machines(raw))
    devices = [one for user in users.values() if isinstance(user, Mapping) for one in _mapping(user, "devices")]
    if devices and not raw.get("pool"):
        yield Problem(".pool", "is missing: the addresses of the LAN that devices get, such as {v4: 10.1.0.128/26}")
    if devices and not raw.get(SECRET):
        yield Problem(
            f".{SECRET}",
            "is missing: the pre-shared keys of devices come from it; `wgnode user add` makes it a secret of the stack",
        )


def mesh_problems(topology: Topology, name: str, users: Users) -> Iterator[str]:
    """Of a site that is in the mesh: its pool against its LANs, its devices against the sites."""
    site = topology.sites[name]
    lans = [networks.parse(lan) for lan in site.lans]
    for pool in users.pool:
        if not any(networks.within(pool, lan) for lan in lans):
            listed = ", ".join(map(str, lans))
            yield (
                f"site {name!r}: pool {pool} lies in none of the site's lans ({listed}); devices have addresses of the"
                " LAN, so take a part of it that nothing else gives out"
            )
    if users.devices and site.endpoint is None:
        others = ", ".join(sorted(other for other, there in topology.sites.items() if there.endpoint)) or "none"
        yield (
            f"site {name!r} has no endpoint, so its users' devices can't call it: give it one in the mesh's stack file"
            f" (a port forwarded by the router in front is enough), or make another site their home (with an endpoint:"
            f" {others})"
        )
    yield from access.unknown_sites(topology, name, users.groups.values())
    keys = {key: other for other, there in topology.sites.items() for key in there.public_keys}
    for device in users.devices:
        if owner := keys.get(device.public_key):
            yield f"site {name!r}: device {device.label} has the public key of site {owner!r}; make it a key of its own"
        for address in map(ip_address, device.addresses):
            lan = next((lan for lan in lans if address in lan), None)
            if lan and (problem := networks.gateway_problem(address, lan)):
                yield f"site {name!r}: device {device.label}: {address} {problem}"
    yield from egress_problems.mesh_problems(topology, name, users)


def _pool_problems(raw: Mapping[str, Any], pool: list[Network]) -> Iterator[Problem]:
    said = raw.get("pool")
    if not isinstance(said, Mapping):
        return
    if not any(said.get(family) for family in FAMILIES):
        yield Problem(".pool", "no network: give v4 (like 10.1.0.128/26), v6 (like fd00:10:1::1000/116) or both")
    for family in FAMILIES:
        if isinstance(text := said.get(family), str):
            try:
                pool.append(networks.parse(text, int(family[1])))
            except ValueError as error:
                yield Problem(f".pool.{family}", str(error))
    for text in _mapping(said, "released"):
        try:
            ip_address(str(text))
        except ValueError:
            yield Problem(f".pool.released.{text}", f"{text!r} is no address; those that were devices' stand here")
    yield from _dhcp_problems(_mapping(raw, "lan").get("dhcp"), pool)


def _dhcp_problems(ranges: Any, pool: list[Network]) -> Iterator[Problem]:
    for number, text in enumerate(ranges if isinstance(ranges, list) else ()):
        if not isinstance(text, str):
            continue
        try:
            first, last = dhcp_range(text)
        except ValueError as error:
            yield Problem(f".lan.dhcp[{number}]", str(error))
            continue
        for network in pool:
            if network.version == first.version and not (
                int(last) < int(network.network_address) or int(network.broadcast_address) < int(first)
            ):
                yield Problem(
                    ".pool.v" + str(network.version),
                    f"pool {network} overlaps {text}, which the LAN's DHCP server gives out (lan.dhcp); take addresses"
                    " that it does not, or make its range smaller",
                )


def dhcp_range(text: str) -> tuple[Address, Address]:
    """Of "10.1.0.100-10.1.0.199" or a network. Raises ValueError with what to do."""
    parts = text.split("-")
    if len(parts) == 1:
        network = networks.parse(parts[0])
        return network.network_address, network.broadcast_address
    if len(parts) != 2:
        raise ValueError(f"{text!r} is no range; write it like 10.1.0.100-10.1.0.199")
    first, last = (networks.parse_address(part.strip()) for part in parts)
    if first.version != last.version or int(first) > int(last):
        raise ValueError(f"{text!r} is no range: its first address comes behind its last")
    return first, last


def _group_problems(groups: Mapping[str, Any]) -> Iterator[Problem]:
    for name, group in groups.items():
        yield from _name_problem(f".groups.{name}", "group", name)
        if not isinstance(group, Mapping):
            continue
        yield from group_problems(name, group, groups)


def _name_problem(path: str, what: str, name: Any) -> Iterator[Problem]:
    if not NAME.fullmatch(str(name)):
        yield Problem(
            path, f"{what} name {name!r}: use a lower-case letter, then up to 30 lower-case letters, digits or hyphens"
        )


def _user_problems(name: str, user: Mapping[str, Any], groups: Any, taken: _Taken) -> Iterator[Problem]:
    said, there = user.get("groups"), {} if groups is None else groups
    for number, group in enumerate(said if isinstance(said, list) and isinstance(there, Mapping) else ()):
        if isinstance(group, str) and group not in there:
            known = ", ".join(sorted(map(str, there))) or "none"
            yield Problem(
                f".users.{name}.groups[{number}]",
                f"user {name!r}: there is no group {group!r} (there are: {known}); add it under `groups:`, like"
                f" `{group}: {{reach: all}}`",
            )
    for device, of_device in _mapping(user, "devices").items():
        path = f".users.{name}.devices.{device}"
        yield from _name_problem(path, "device", device)
        if isinstance(of_device, Mapping):
            yield from _device_problems(path, f"device {name}/{device}", of_device, taken)


def _device_problems(path: str, whose: str, device: Mapping[str, Any], taken: _Taken) -> Iterator[Problem]:
    try:
        key = decode_key(device["publicKey"])
    except (KeyError, ValueError):
        key = None  # its shape is judged elsewhere
    if key is not None and (other := taken.keys.setdefault(key, whose)) != whose:
        yield Problem(f"{path}.publicKey", f"{whose} has the public key of {other}; each device needs its own")
    said = device.get("addresses")
    families: set[int] = set()
    for number, text in enumerate(said if isinstance(said, list) else ()):
        here = f"{path}.addresses[{number}]"
        try:
            address = ip_address(text)
        except ValueError:
            continue
        if address.version in families:
            yield Problem(here, f"{whose} has two addresses of IPv{address.version}; one of a family is a device's")
        families.add(address.version)
        known = taken.pool and address.version not in taken.unread
        if known and not any(address in network for network in taken.pool):
            pools = ", ".join(map(str, taken.pool))
            yield Problem(here, f"{whose}: {address} is outside of the pool ({pools})")
        if (other := taken.addresses.setdefault(address, whose)) != whose:
            yield Problem(here, f"{whose}: {address} is {other}'s already; `wgnode user add` takes a free one")


def known_machines(raw: Mapping[str, Any]) -> dict[Address, str]:
    """Addresses that the file itself gives to somebody else."""
    found: dict[Address, str] = {}
    gateways = _mapping(raw, "lan").get("gatewayAddresses")
    claims: list[tuple[Any, str]] = [(one, "the gateway") for one in (gateways if isinstance(gateways, list) else ())]
    claims.append((_mapping(raw, "host").get("address"), "the host"))
    forward = _mapping(raw, "firewall").get("forward")
    for one in forward if isinstance(forward, list) else ():
        if isinstance(one, Mapping) and str(one.get("to", "")).endswith(("/32", "/128")):
            claims.append((str(one["to"]).partition("/")[0], "a machine that firewall.forward names"))
    for text, owner in claims:
        try:
            found.setdefault(ip_address(str(text)), owner)
        except ValueError:
            continue
    return found


def _mapping(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, Mapping) else {}
