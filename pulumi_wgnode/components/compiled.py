"""A site's gateway configuration, compiled from the mesh's outputs and the site's own configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import pulumi

from pulumi_wgnode import seal
from pulumi_wgnode.components.arguments import SiteArgs
from wgnode import endpoint
from wgnode.carriersfile import shipped
from wgnode.nodeconfig import CarrierConfig
from wgnode.pathmtu.carriers import Direction
from wgnode.topology.bundle import Bundle
from wgnode.topology.compile import SiteFacts, compile_site, host_routes, site_problems
from wgnode.topology.model import NewerTopology, Topology, TopologyError
from wgnode.topology.transit import Transit


class SiteError(pulumi.RunError):
    """Site and mesh don't fit together; the text has all that is wrong and the way out."""


def compile_gateway(config: SiteArgs, topology: Mapping[str, Any], bundle: str | None) -> dict[str, Any]:
    """The site's id and mesh, config and secrets (canonical JSON), routes of the host and whose, listenPort, endpoint.

    `peers` are the addresses that other sites are called at, of those that have no name; `lan` is what the gateway has
    there.

    Raises SiteError.
    """
    facts = facts_of(config)
    try:
        mesh = Topology.from_dict(topology)
    except NewerTopology as error:
        raise SiteError(f"mesh stack {config.mesh!r}: {error}") from None
    except TopologyError as error:
        raise SiteError(
            f"mesh stack {config.mesh!r}: {error}; run `pulumi up -s {config.mesh}` with this version"
        ) from None
    if problems := site_problems(mesh, config.name, facts):
        raise SiteError(_explained(config, mesh, problems))
    try:
        node, secrets = compile_site(mesh, config.name, _opened(config, mesh, bundle), facts)
    except TopologyError as error:
        raise SiteError(_explained(config, mesh, [str(error)])) from None
    routes = host_routes(mesh, config.name, facts.gateway_addresses) if facts.reach == "host-route" else []
    owners = {lan: f"site {name!r}" for name, site in mesh.sites.items() for lan in site.lans}
    return {
        "id": mesh.sites[config.name].id,
        "mesh": mesh.mesh,
        "config": node.to_json().decode(),
        "secrets": secrets.to_json().decode(),
        "routes": [asdict(route) for route in routes],
        "whose": {route.to: owners.get(route.to, "the tunnel") for route in routes},
        "peers": _addresses(peer.endpoint for peer in node.peers),
        "lan": {"addresses": list(node.lan.addresses), "mac": node.lan.mac, "proxyArp": node.lan.proxy_arp},
        "listenPort": mesh.listen_port,
        "endpoint": mesh.sites[config.name].endpoint,
    }


def facts_of(config: SiteArgs) -> SiteFacts:
    """What a site's own arguments say of its gateway."""
    return SiteFacts(tuple(config.lan.gateway_addresses), _transit(config), config.lan.reach, _carrier(config.carrier))


def _addresses(endpoints: Iterable[str | None]) -> list[str]:
    hosts = (endpoint.split(text)[0] for text in endpoints if text)
    return sorted({str(host) for host in hosts if not isinstance(host, str)})


def _opened(config: SiteArgs, mesh: Topology, bundle: str | None) -> Bundle:
    try:
        if not bundle:
            raise seal.SealError("missing")
        return seal.open_sealed(
            bundle, config.recipient_key.get_secret_value(), mesh.mesh, config.name, mesh.sites[config.name].id
        )
    except (seal.NewerBundle, NewerTopology) as error:
        raise SiteError(f"site {config.name!r}, mesh stack {config.mesh!r}: {error}") from None
    except seal.SealError as error:
        raise SiteError(
            f"site {config.name!r}: its bundle in mesh stack {config.mesh!r} is {error}.\n{config.ways_out.recipient()}"
        ) from None


def _explained(config: SiteArgs, mesh: Topology, problems: list[str]) -> str:
    if config.name not in mesh.sites:
        if renamed := next((name for name, one in mesh.sites.items() if one.renamed_from == config.name), None):
            way_out = config.ways_out.renamed(renamed)
            return f"site {config.name!r} is called {renamed!r} in mesh {mesh.mesh!r} now: {way_out}"
        return f"{problems[0]}: {config.ways_out.missing()}"
    return f"the configuration does not fit mesh {mesh.mesh!r}:" + "".join(f"\n  {problem}" for problem in problems)


def _carrier(name: str | None) -> CarrierConfig | None:
    if name is None:
        return None
    up, down = (
        guess.size if guess else None
        for guess in (shipped().guess(name, way) for way in (Direction.UP, Direction.DOWN))
    )
    return CarrierConfig(name, up, down)


def _transit(config: SiteArgs) -> Transit:
    return Transit.of(config.gateway.transit.v4, config.gateway.transit.v6)
