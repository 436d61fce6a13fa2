"""What of a configuration Nanos can do: one IPv4 address and one network for each interface, and no routes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_interface, ip_network

from wgnode.nanos.words import Environment
from wgnode.nodeconfig import LinkConfig, NodeConfig

DEFAULT_ROUTES = ("0.0.0.0/0", "::/0")
NO_ROUTES = "Nanos has one network for each interface, and no routes beside them"


def problems(config: NodeConfig) -> list[str]:
    """Everything in it that Nanos can't do, in words; none for a configuration that it can run."""
    found = [*_interfaces(config), *_lan(config), *_endpoints(config)]
    if not found:
        try:
            tunnel_network(config)
        except ValueError as error:
            found.append(str(error))
    return found


def environment(config: NodeConfig) -> Environment:
    """What the image is told. Raises ValueError for a configuration that has problems."""
    return Environment(only_ipv4(config.transit), next_hop(config.transit), only_ipv4(config.lan))


def tunnel_network(config: NodeConfig) -> IPv4Interface:
    """The one network that leads into the tunnel, with the tunnel's own address: the smallest around all that its peers
    have. Raises ValueError where there is none that leaves the cards' networks alone.

    Interfaces are looked at from the newest on, and the first whose network has the address gets the packet
    (src/core/ipv4/ip4.c ip4_route, src/core/netif.c netif_add): the tunnel's comes before the LAN's, however large.
    """
    own = ip_interface(config.addresses[0]).ip
    inside = [ip_network(network) for network in networks_into(config)]
    around = _around([IPv4Network(own), *(each for each in inside if isinstance(each, IPv4Network))])
    for name, link in (("transit link", config.transit), ("LAN", config.lan)):
        for network in _networks(link):
            if around.overlaps(network):
                parts = ", ".join(sorted({str(own), *map(str, inside)}))
                raise ValueError(
                    f"the tunnel would need {around}, the smallest network around {parts}, and that overlaps the {name}"
                    f" {network}: {NO_ROUTES}; give sites and tunnels addresses that lie together, apart from it"
                )
    return IPv4Interface(f"{own}/{around.prefixlen}")


def networks_into(config: NodeConfig) -> list[str]:
    """Allowed IPs of everybody but default routes."""
    return sorted(
        {network for peer in config.everybody for network in peer.allowed_ips if network not in DEFAULT_ROUTES}
    )


def only_ipv4(link: LinkConfig) -> IPv4Interface:
    """The card's one IPv4 address; IPv6 ones are not looked at. Raises ValueError for none or several."""
    found = [each for each in map(ip_interface, link.addresses) if isinstance(each, IPv4Interface)]
    if len(found) != 1:
        raise ValueError(f"card {link.mac} has {len(found)} IPv4 addresses; Nanos takes one for each interface")
    return found[0]


def next_hop(link: LinkConfig) -> IPv4Address:
    """Raises ValueError for none."""
    for gateway in link.gateways:
        if ":" not in gateway:
            return IPv4Address(gateway)
    raise ValueError(f"card {link.mac} has no IPv4 gateway; Nanos has one default route, by the transit link")


def _interfaces(config: NodeConfig) -> Iterator[str]:
    for name, link in (("transit", config.transit), ("lan", config.lan)):
        try:
            only_ipv4(link)
            if name == "transit":
                next_hop(link)
        except ValueError as error:
            yield f"{name}: {error}"
    if len(config.addresses) != 1:
        yield f"the tunnel has {len(config.addresses)} addresses; Nanos takes one for each interface"
    inside = [*config.addresses, *config.lan.addresses, *networks_into(config)]
    if six := [each for each in inside if ":" in each]:
        yield f"IPv6 inside the tunnel or in the LAN ({', '.join(six)}): Nanos forwards IPv4 only"


def _lan(config: NodeConfig) -> Iterator[str]:
    if config.lan.masquerade:
        yield "lan.reach: masquerade: Nanos translates no addresses; choose host-route"
    if config.lan.proxy_arp:
        yield "lan.reach: proxy-arp: Nanos answers ARP for its own address only; choose host-route"
    if config.devices:
        yield f"{len(config.devices)} users' devices: nobody would answer for their addresses in the LAN"


def _endpoints(config: NodeConfig) -> Iterator[str]:
    for peer in config.peers:
        if peer.endpoint is not None and peer.endpoint.startswith("["):
            yield f"peer {peer.name}: endpoint {peer.endpoint}: on the transit link Nanos has no default route of IPv6"


def _networks(link: LinkConfig) -> list[IPv4Network]:
    return [each.network for each in map(ip_interface, link.addresses) if isinstance(each, IPv4Interface)]


def _around(networks: Iterable[IPv4Network]) -> IPv4Network:
    first, *others = networks
    for each in others:
        while not each.subnet_of(first):
            first = first.supernet()
    return first
