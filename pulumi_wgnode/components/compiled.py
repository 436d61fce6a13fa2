"""A site's gateway configuration, compiled from the mesh's outputs and the site's own configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from ipaddress import ip_address
from typing import Any

import pulumi

from pulumi_wgnode import seal
from pulumi_wgnode.components.arguments import SiteArgs
from pulumi_wgnode.components.ways_out import WaysOut
from pulumi_wgnode.contracts import texts
from pulumi_wgnode.contracts.node import described, keys_described
from pulumi_wgnode.contracts.parts import Transit as Link
from wgnode import endpoint
from wgnode.carriersfile import shipped
from wgnode.nodeconfig import CarrierConfig, NodeConfig, NodeSecrets, decode_key
from wgnode.pathmtu.carriers import Direction
from wgnode.topology import egress
from wgnode.topology.bundle import Bundle
from wgnode.topology.compile import Reach, SiteFacts, compile_site, host_routes, site_problems
from wgnode.topology.model import NewerTopology, Topology, TopologyError
from wgnode.topology.transit import Transit
from wgnode.topology.users import NOBODY, Users


class SiteError(pulumi.RunError):
    """Site and mesh don't fit together; the text has all that is wrong and the way out."""


@dataclass(frozen=True)
class Asked:
    """What is asked for: a site by its name in the mesh, with what it says itself of its gateway.

    `stack` is the mesh's, for messages; empty where there is none to speak of.
    """

    name: str
    facts: SiteFacts
    recipient_key: str = field(repr=False)
    stack: str = ""
    device_secret: str | None = field(default=None, repr=False)
    ways_out: WaysOut = WaysOut()  # noqa: RUF009 (it has no state)

    @property
    def mesh(self) -> str:
        """The mesh, in a message."""
        return f"mesh stack {self.stack!r}" if self.stack else "the mesh"


def asked_of(config: SiteArgs) -> Asked:
    key, secret = config.recipient_key.get_secret_value(), config.device_secret
    device_secret = secret.get_secret_value() if secret else None
    return Asked(config.name, facts_of(config), key, config.mesh, device_secret, config.ways_out)


def compile_gateway(config: SiteArgs, topology: Mapping[str, Any], bundle: str | None) -> dict[str, Any]:
    """`compiled`, of a site's arguments."""
    return compiled(asked_of(config), topology, bundle)


def compiled(asked: Asked, topology: Mapping[str, Any], bundle: str | None) -> dict[str, Any]:
    """The site's id and mesh, config and secrets, routes of the host and whose, listenPort, endpoint, egress.

    `peers` are the addresses that other sites are called at, of those that have no name; `lan` is what the gateway has
    there.

    Raises SiteError.
    """
    node, secrets, rest = _compiled(asked, topology, bundle)
    return {**rest, "config": described(node), "secrets": keys_described(secrets)}


def compiled_as_texts(asked: Asked, topology: Mapping[str, Any], bundle: str | None) -> dict[str, Any]:
    """`compiled`, with texts for all that is as long as the mesh has sites (contracts/texts.py)."""
    node, secrets, rest = _compiled(asked, topology, bundle)
    long = {name: texts.PLAIN.write(rest[name]) for name in ("routes", "whose", "peers")}
    return {**rest, **long, "config": node.to_json().decode(), "secrets": secrets.to_json().decode()}


def _compiled(
    asked: Asked, topology: Mapping[str, Any], bundle: str | None
) -> tuple[NodeConfig, NodeSecrets, dict[str, Any]]:
    mesh, facts = _understood(asked, topology), asked.facts
    if problems := site_problems(mesh, asked.name, facts):
        raise SiteError(_explained(asked, mesh, problems))
    try:
        secret = decode_key(asked.device_secret) if asked.device_secret else b""
        node, secrets = compile_site(mesh, asked.name, _opened(asked, mesh, bundle), facts, secret)
    except TopologyError as error:
        raise SiteError(_explained(asked, mesh, [str(error)])) from None
    routes = host_routes(mesh, asked.name, facts.gateway_addresses) if facts.reach == "host-route" else []
    owners = {lan: f"site {name!r}" for name, site in mesh.sites.items() for lan in site.lans}
    rest = {
        "id": mesh.sites[asked.name].id,
        "mesh": mesh.mesh,
        "routes": [asdict(route) for route in routes],
        "whose": {route.to: owners.get(route.to, "the tunnel") for route in routes},
        "peers": _addresses(peer.endpoint for peer in node.peers),
        "lan": {"addresses": list(node.lan.addresses), "mac": node.lan.mac, "proxyArp": node.lan.proxy_arp},
        "listenPort": mesh.listen_port,
        "endpoint": mesh.sites[asked.name].endpoint,
        "egress": egress.leaving(facts.users),
    }
    return node, secrets, rest


def _understood(asked: Asked, topology: Mapping[str, Any]) -> Topology:
    try:
        return Topology.from_dict(topology)
    except NewerTopology as error:
        raise SiteError(f"{asked.mesh}: {error}") from None
    except TopologyError as error:
        again = f"run `pulumi up -s {asked.stack}` with this version" if asked.stack else "update it with this version"
        raise SiteError(f"{asked.mesh}: {error}; {again}") from None


def facts_of(config: SiteArgs) -> SiteFacts:
    """What a site's own arguments say of its gateway."""
    lan, link = config.lan, config.gateway.transit
    people = config.to_dict()
    users = Users.of(*(people.get(name) for name in ("pool", "users", "groups", "egressPool")))
    facts = site_facts(lan.gateway_addresses, link, lan.reach, config.carrier, path_mtu=config.path_mtu, users=users)
    return replace(facts, host_addresses=tuple(_addresses_of(config.host.address)))


def _addresses_of(host: str | None) -> Iterator[str]:
    """Where it is no name."""
    try:
        yield str(ip_address(host or ""))
    except ValueError:
        return


def site_facts(
    addresses: Sequence[str],
    link: Link,
    reach: Reach,
    carrier: str | None,
    *,
    path_mtu: str | bool = "auto",
    users: Users = NOBODY,
) -> SiteFacts:
    transit = Transit.of(link.v4, link.v6)
    searches = path_mtu not in ("off", False)
    return SiteFacts(tuple(addresses), transit, reach, _carrier(carrier), path_mtu=searches, users=users)


def _addresses(endpoints: Iterable[str | None]) -> list[str]:
    hosts = (endpoint.split(text)[0] for text in endpoints if text)
    return sorted({str(host) for host in hosts if not isinstance(host, str)})


def _opened(asked: Asked, mesh: Topology, bundle: str | None) -> Bundle:
    try:
        if not bundle:
            raise seal.SealError("missing")
        id = mesh.sites[asked.name].id
        return seal.open_sealed(bundle, asked.recipient_key, mesh.mesh, asked.name, id)
    except (seal.NewerBundle, NewerTopology) as error:
        raise SiteError(f"site {asked.name!r}, {asked.mesh}: {error}") from None
    except seal.SealError as error:
        raise SiteError(
            f"site {asked.name!r}: its bundle in {asked.mesh} is {error}.\n{asked.ways_out.recipient()}"
        ) from None


def _explained(asked: Asked, mesh: Topology, problems: list[str]) -> str:
    name = asked.name
    if name not in mesh.sites:
        if renamed := next((new for new, one in mesh.sites.items() if one.renamed_from == name), None):
            return f"site {name!r} is called {renamed!r} in mesh {mesh.mesh!r} now: {asked.ways_out.renamed(renamed)}"
        return f"{problems[0]}: {asked.ways_out.missing()}"
    return f"the configuration does not fit mesh {mesh.mesh!r}:" + "".join(f"\n  {problem}" for problem in problems)


def _carrier(name: str | None) -> CarrierConfig | None:
    if name is None:
        return None
    name = shipped().about(name)[0].name
    up, down = (
        guess.size if guess else None
        for guess in (shipped().guess(name, way) for way in (Direction.UP, Direction.DOWN))
    )
    return CarrierConfig(name, up, down)
