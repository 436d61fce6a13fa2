"""Everything that can be wrong with a mesh's configuration beyond its shape, all at once.

Works on the plain configuration (camelCase) and passes over what isn't there or has another type: the shape is
judged elsewhere, and at preview a value may not be known yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from wgnode import endpoint, recipient
from wgnode.topology import mtu, networks
from wgnode.topology.networks import Claim, capacity

MESH_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
SITE_NAME = re.compile(r"[a-z][a-z0-9-]{0,14}")
BROADCAST = ip_address("255.255.255.255")
WG_KEYWORDS = ("all", "interfaces")


@dataclass(frozen=True)
class Problem:
    """`path` of the value within the configuration object, and what is wrong with it and what to do."""

    path: str
    message: str


def mesh_problems(raw: Mapping[str, Any], where: str = "the mesh's configuration") -> list[Problem]:
    """All problems of a mesh; `where` names the place to change, such as "stacks/Pulumi.dev-mesh.yaml"."""
    sites = {name: site for name, site in _mapping(raw, "sites").items() if isinstance(site, Mapping)}
    found = list(_name_problems(raw.get("name"), sites))
    claims: list[Claim] = []
    found += _tunnel_problems(raw, len(sites), claims)
    for name, site in sites.items():
        found += _site_problems(name, site, claims)
    found += [Problem(*_overlap(claim, other, where)) for claim, other in networks.overlaps(claims)]
    found += _endpoint_problems(sites, claims, where)
    found += [Problem(path, why) for path, why in mtu.problems(raw, sites, claims)]
    found += _rename_problems(sites)
    found += _forget_problems(raw.get("forget"), _mapping(raw, "sites"))
    return found


def site_name_problem(name: str) -> str | None:
    """Why this can't be a site's name (it becomes the gateway's, and `wg show NAME`), or None."""
    if not SITE_NAME.fullmatch(name):
        return (
            f"site name {name!r}: use a lower-case letter, then up to 14 lower-case letters, digits or hyphens"
            " (it becomes the name of the gateway)"
        )
    if name in WG_KEYWORDS:
        return f"site name {name!r} is a word that `wg show` takes for itself; choose another"
    return None


def split_endpoint(text: str) -> tuple[str, int]:
    """(host, port) of an endpoint that other sites can call (wgnode/endpoint.py). Raises ValueError with what to do."""
    host, port = endpoint.split(text)
    if not isinstance(host, str) and (
        host.is_unspecified or host.is_multicast or host.is_loopback or host.is_link_local or host == BROADCAST
    ):
        raise ValueError(f"endpoint {text!r}: {host} can't be reached from another site")
    return str(host), port


def _name_problems(name: Any, sites: Mapping[str, Any]) -> Iterator[Problem]:
    if isinstance(name, str) and not MESH_NAME.fullmatch(name):
        yield Problem(
            "name",
            f"mesh name {name!r}: use a lower-case letter, then up to 30 lower-case letters, digits or hyphens",
        )
    for site in sites:
        if problem := site_name_problem(site):
            yield Problem(f"sites.{site}", problem)


def _tunnel_problems(raw: Mapping[str, Any], sites: int, claims: list[Claim]) -> Iterator[Problem]:
    tunnel = raw.get("tunnel")
    if not isinstance(tunnel, Mapping):
        return
    if not any(tunnel.get(family) for family in ("v4", "v6")):
        yield Problem("tunnel", "no prefix: give v4 (like 10.99.0.0/24), v6 (like fd00:99::/64) or both")
    for family, version in (("v4", 4), ("v6", 6)):
        text = tunnel.get(family)
        if not isinstance(text, str):
            continue
        try:
            network = networks.parse(text, version)
        except ValueError as error:
            yield Problem(f"tunnel.{family}", str(error))
            continue
        claims.append(Claim(network, f"tunnel.{family}", "", "tunnel prefix"))
        if capacity(network) < max(sites, 1):
            yield Problem(
                f"tunnel.{family}",
                f"tunnel prefix {network} has addresses for {capacity(network)} sites, {sites} are configured;"
                f" use /{_fitting(version, sites)} or shorter",
            )


def _fitting(version: int, sites: int) -> int:
    bits = 32 if version == 4 else 128
    return bits - (max(sites, 1) + 1).bit_length()


def _site_problems(name: str, site: Mapping[str, Any], claims: list[Claim]) -> Iterator[Problem]:
    path = f"sites.{name}"
    lans = site.get("lans")
    if isinstance(lans, list) and not lans:
        yield Problem(f"{path}.lans", f"site {name!r} has no lan; list the networks behind its gateway")
    for position, lan in enumerate(lans if isinstance(lans, list) else ()):
        if isinstance(lan, str):
            try:
                network = networks.parse(lan)
            except ValueError as error:
                yield Problem(f"{path}.lans[{position}]", f"site {name!r}: lan {error}")
            else:
                claims.append(Claim(network, f"{path}.lans[{position}]", f"site {name!r}", "lan"))
    key = site.get("recipient")
    if key == "":
        yield Problem(
            f"{path}.recipient", f"site {name!r}: the public recipient key is empty; `wgnode site new` makes it"
        )
    elif isinstance(key, str):
        try:
            recipient.parse_public(key)
        except ValueError as error:
            yield Problem(f"{path}.recipient", f"site {name!r}: {error}")


def _rename_problems(sites: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """All renames happen at once: what a site is renamed from must be free, or be renamed itself (two that swap)."""
    sources = {name: site["renamedFrom"] for name, site in sites.items() if isinstance(site.get("renamedFrom"), str)}
    takers: dict[str, str] = {}
    for name, source in sources.items():
        path = f"sites.{name}.renamedFrom"
        if source == name:
            yield Problem(path, f"site {name!r} is renamed from itself; take `renamedFrom` out")
        elif (other := takers.setdefault(source, name)) != name:
            yield Problem(path, f"site {source!r} can't become both {other!r} and {name!r}; take one `renamedFrom` out")
        elif source in sites and source not in sources:
            yield Problem(
                path,
                f"site {source!r} is still there, so {name!r} can't be it renamed; take {source!r} out of `sites`, or"
                f" `renamedFrom` out of {name!r} if that rename is long done and {source!r} is a new site",
            )


def _forget_problems(forget: Any, sites: Mapping[str, Any]) -> Iterator[Problem]:
    for position, name in enumerate(forget if isinstance(forget, list) else ()):
        path = f"forget[{position}]"
        if name in sites:
            yield Problem(path, f"site {name!r} is under `sites`, so it can't be forgotten; take it out of one of both")
        for taker, site in sites.items():
            if isinstance(site, Mapping) and name == site.get("renamedFrom") is not None:
                yield Problem(
                    path, f"site {name!r} is renamed to {taker!r}, so it can't be forgotten; keep one of both"
                )


def _overlap(claim: Claim, other: Claim, where: str) -> tuple[str, str]:
    if not claim.owner:
        claim, other = other, claim
    first = f"{claim.owner}: {claim.what} {claim.network}" if claim.owner else f"{claim}"
    if claim.owner == other.owner:
        return claim.path, f"{first} overlaps its own {other.network}; list it once in {where}"
    return claim.path, f"{first} overlaps {other.owner or other.what} {other.network}; change one of them in {where}"


def _endpoint_problems(sites: Mapping[str, Mapping[str, Any]], claims: list[Claim], where: str) -> Iterator[Problem]:
    taken: dict[tuple[str, int], str] = {}
    outside: list[Claim] = []
    for name, site in sites.items():
        given = site.get("endpoint")
        if not isinstance(given, str):
            continue
        path = f"sites.{name}.endpoint"
        try:
            host, port = split_endpoint(given)
        except ValueError as error:
            yield Problem(path, f"site {name!r}: {error}")
            continue
        other = taken.setdefault((host.lower(), port), name)
        if other != name:
            yield Problem(
                path,
                f"site {name!r}: endpoint {given} already belongs to site {other!r}; change one of them in {where}",
            )
        if _is_address(host):
            outside.append(Claim(ip_network(host), path, f"site {name!r}", "endpoint"))
    yield from _endpoints_in_tunnel(outside, claims)
    private = [name for name, site in sites.items() if "endpoint" not in site or site["endpoint"] is None]
    if len(private) > 1:
        yield Problem(
            "sites",
            f"sites {_listed(private)} have no public endpoint, so none of them can ever reach another;"
            f" give all but one of them an `endpoint` in {where} (a port forwarded by a router in front is enough)",
        )


def _endpoints_in_tunnel(outside: list[Claim], claims: list[Claim]) -> Iterator[Problem]:
    endpoints = {claim.network: claim for claim in reversed(outside)}
    for pair in networks.overlaps([*claims, *endpoints.values()]):
        for inner, outer in (pair, pair[::-1]):
            if inner.what == "endpoint" != outer.what:
                yield Problem(
                    inner.path,
                    f"{inner.owner}: endpoint {inner.network.network_address} lies in {outer}, which is reached through"
                    " the tunnel itself; give the address at which the other sites see this one from outside",
                )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _listed(names: list[str]) -> str:
    quoted = [repr(name) for name in sorted(names)]
    return ", ".join(quoted[:-1]) + f" and {quoted[-1]}"


def _mapping(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, Mapping) else {}
