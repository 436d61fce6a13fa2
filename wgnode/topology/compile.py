"""One site's node configuration and secrets, out of the mesh's topology, its own bundle and its own facts.

Each site compiles its own: all of them together would be O(sites^2), 255 MB for a full mesh of 1,000.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface, ip_network
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode.nodeconfig import CarrierConfig, LinkConfig, NodeConfig, NodeSecrets, PeerConfig
from wgnode.topology import access, labels, mtu, networks, presharedkey, transit, user_problems, users
from wgnode.topology.bundle import Bundle
from wgnode.topology.model import Network, SiteTopology, Topology, TopologyError
from wgnode.topology.networks import Claim, overlaps
from wgnode.topology.transit import Transit
from wgnode.topology.users import NOBODY, Users

Reach = Literal["host-route", "proxy-arp", "masquerade"]
"""How a LAN's machines find the other sites: by the host's routes, by the gateway's ARP answers for their addresses, or
not at all: what comes from there is masqueraded, so answers need no route."""


@dataclass(frozen=True)
class SiteFacts:
    """What a site's own stack says of its gateway. `gateway_addresses` have no prefix length: its LANs give it.
    `host_addresses` are the host's, as far as the stack says any."""

    gateway_addresses: tuple[str, ...]
    transit: Transit = field(default_factory=Transit.of)
    reach: Reach = "host-route"
    carrier: CarrierConfig | None = None
    path_mtu: bool = True
    users: Users = NOBODY
    host_addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Route:
    """A route of the host: network and next hop."""

    to: str
    via: str


def compile_site(
    topology: Topology, name: str, bundle: Bundle, facts: SiteFacts, device_secret: bytes = b""
) -> tuple[NodeConfig, NodeSecrets]:
    """`device_secret` is what the pre-shared keys of users' devices come from. Raises TopologyError, with all problems,
    when the parts don't fit together."""
    if problems := [*site_problems(topology, name, facts), *_bundle_problems(topology, name, bundle)]:
        raise TopologyError("; ".join(problems))
    site, config = topology.sites[name], node_config(topology, name, facts)
    peers = (there for peer, there in sorted(topology.sites.items()) if peer != name)
    preshared = {there.public_keys[0]: _preshared_keys(bundle, site, there) for there in peers}
    for device in facts.users.peers:
        preshared[device.public_key] = (users.preshared_key(device_secret, device.public_key),)
    return config, NodeSecrets(bundle.private_keys, preshared)


def node_config(topology: Topology, name: str, facts: SiteFacts) -> NodeConfig:
    """The public half, which needs no secret; of parts that fit together (`site_problems`)."""
    site = topology.sites[name]
    peers = {peer: there for peer, there in sorted(topology.sites.items()) if peer != name}
    tunnel = mtu.of(site.mtu, searched=facts.path_mtu)
    devices = facts.users.peers
    classes = access.class_numbers(devices)
    return NodeConfig(
        mesh=topology.mesh,
        name=name,
        public_keys=site.public_keys,
        listen_port=topology.listen_port,
        addresses=tuple(_with_length(topology, address) for address in site.addresses),
        transit=LinkConfig(transit.MAC, facts.transit.guest, facts.transit.gateways),
        lan=LinkConfig(
            site.lan_mac,
            _lan_interfaces(site, facts),
            proxy_arp=facts.reach == "proxy-arp",
            masquerade=facts.reach == "masquerade",
        ),
        peers=tuple(_peer(peer, there, site, tunnel) for peer, there in peers.items()),
        mtu=tunnel,
        carrier=facts.carrier,
        path_mtu=facts.path_mtu,
        devices=tuple(device.peer(classes[device.groups]) for device in devices),
        policy=access.compiled(devices, facts.users.groups, topology, _own(site, facts), _known(facts)),
    )


def _own(site: SiteTopology, facts: SiteFacts) -> tuple[str, ...]:
    """Addresses of the gateway and of its host."""
    link = facts.transit
    return (*site.addresses, *facts.gateway_addresses, *link.host, *link.guest, *facts.host_addresses)


def _known(facts: SiteFacts) -> list[str]:
    return [str(network) for network in (*facts.transit.networks, *facts.users.pool)]


def site_problems(topology: Topology, name: str, facts: SiteFacts) -> list[str]:
    """What keeps a site from fitting into its mesh, before any secret is looked at."""
    if name not in topology.sites:
        known = ", ".join(sorted(topology.sites)) or "none"
        return [f"site {name!r} is not in mesh {topology.mesh!r} (its sites: {known})"]
    lans = [ip_network(lan) for lan in topology.sites[name].lans]
    problems = [problem for text in facts.gateway_addresses for problem in _address_problems(text, lans, name)]
    for lan in lans:
        if single := networks.single_problem(lan):
            problems.append(f"site {name!r}: {single}")
        elif not any(ip_address(text) in lan for text in facts.gateway_addresses):
            problems.append(f"site {name!r}: the gateway has no address in lan {lan}; add one to lan.gatewayAddresses")
    claims = [Claim(network, "transit", "", "transit network") for network in facts.transit.networks]
    claims += [Claim(network, "", "", "tunnel prefix") for network in topology.tunnel]
    claims += [
        Claim(ip_network(lan), "", f"site {owner!r}", "lan") for owner, s in topology.sites.items() for lan in s.lans
    ]
    problems += [
        f"site {name!r}: transit network {ours.network} overlaps {other}; choose another in gateway.transit"
        for pair in overlaps(claims)
        for ours, other in (pair, pair[::-1])
        if ours.path and not other.path
    ]
    return [*problems, *user_problems.mesh_problems(topology, name, facts.users)]


def host_routes(topology: Topology, name: str, gateway_addresses: Iterable[str]) -> list[Route]:
    """What a site's host, its LAN's router, sends to the gateway: the tunnel and the other sites' LANs.

    A family in which the gateway has no address in the LAN gets no routes. Sorted, so that the same mesh always
    gives the same list.
    """
    via = {ip_address(text).version: text for text in reversed(tuple(gateway_addresses))}
    lans = {ip_network(lan) for peer, site in topology.sites.items() if peer != name for lan in site.lans}
    ordered = sorted({*topology.tunnel, *lans}, key=lambda network: (network.version, network.network_address.packed))
    return [Route(str(network), via[network.version]) for network in ordered if network.version in via]


def _peer(name: str, there: SiteTopology, here: SiteTopology, tunnel: int) -> PeerConfig:
    """`tunnel` is the MTU here."""
    return PeerConfig(
        name=name,
        public_keys=there.public_keys,
        allowed_ips=tuple(sorted([*(str(ip_network(address)) for address in there.addresses), *there.lans])),
        endpoint=there.endpoint,
        persistent_keepalive=here.keepalive,
        mtu=None if there.mtu is None or there.mtu >= tunnel else there.mtu,
    )


def _preshared_keys(bundle: Bundle, here: SiteTopology, there: SiteTopology) -> tuple[bytes, ...]:
    """First the one to answer with, then another that is accepted while the sites change over (labels.py)."""
    derive = {
        1: lambda: presharedkey.of_keys(bundle.mesh_secret, bundle.epoch, here.public_keys[0], there.public_keys[0]),
        2: lambda: presharedkey.of_ids(bundle.mesh_secret, bundle.epoch, here.id, there.id),
    }
    if not (common := labels.of_pair(here.labels, there.labels)):
        raise TopologyError(f"sites {here.id} and {there.id} have no label of pre-shared keys in common")
    return tuple(derive[label]() for label in common)


def _with_length(topology: Topology, address: str) -> str:
    network = next(network for network in topology.tunnel if ip_address(address) in network)
    return f"{address}/{network.prefixlen}"


def _lan_interfaces(site: SiteTopology, facts: SiteFacts) -> tuple[str, ...]:
    lans = [ip_network(lan) for lan in site.lans]
    return tuple(
        str(ip_interface(f"{text}/{lan.prefixlen}"))
        for text in facts.gateway_addresses
        for lan in lans
        if ip_address(text) in lan
    )


def _address_problems(text: str, lans: Sequence[Network], name: str) -> Iterator[str]:
    address = ip_address(text)
    lan = next((lan for lan in lans if address in lan), None)
    if lan is None:
        listed = ", ".join(map(str, lans))
        yield f"site {name!r}: lan.gatewayAddresses: {text} is in none of the site's lans ({listed})"
    elif problem := networks.gateway_problem(address, lan):
        yield f"site {name!r}: lan.gatewayAddresses: {text} {problem}"


def _bundle_problems(topology: Topology, name: str, bundle: Bundle) -> Iterator[str]:
    if (bundle.mesh, bundle.id) != (topology.mesh, topology.sites[name].id if name in topology.sites else None):
        yield (
            f"the bundle belongs to site {bundle.site!r} of mesh {bundle.mesh!r}, not to site {name!r} of mesh"
            f" {topology.mesh!r}"
        )
        return
    if bundle.epoch != topology.epoch:
        yield f"site {name!r}: the bundle has epoch {bundle.epoch}, the topology {topology.epoch}; run up of the mesh"
    if name in topology.sites:
        own = tuple(X25519PrivateKey.from_private_bytes(k).public_key().public_bytes_raw() for k in bundle.private_keys)
        if own != topology.sites[name].public_keys:
            yield f"site {name!r}: the bundle's keys are not those of the topology; run up of the mesh stack again"
