"""What will go wrong, though not today, with the place at which the others call a site. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from wgnode import endpoint
from wgnode.topology.model import MeshSpec

INSIDE = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7"))
)
"""An uplink in these is behind a router, whose address is the endpoint's (RFC 1918, 6598, 3927, 4193)."""


def former_ports(spec: MeshSpec, listened: Iterable[int]) -> tuple[int, ...]:
    """Those of the ports that the mesh has `listened` on, and does no more, which a site's endpoint still has."""
    given = {endpoint.split(site.endpoint)[1] for site in spec.sites.values() if site.endpoint}
    return tuple(sorted(given.intersection(listened) - {spec.listen_port}))


def former_port(site: str, text: str | None, listen_port: int, former: int | None) -> str | None:
    """What to say of an endpoint that still has the port that the mesh's nodes have left; None where it has not."""
    if text is None or former in (None, listen_port) or endpoint.split(text)[1] != former:
        return None
    return (
        f"site {site!r}: endpoint {text} has the former listenPort {former}, but the gateways listen on {listen_port}"
        " from now on; sessions that live go on, and end for good with the next restart: give it the new port, unless a"
        f" router in front of the site forwards {former} to {listen_port}"
    )


def own_address(
    site: str, text: str | None, listen_port: int, uplink: str, addresses: Mapping[str, bool]
) -> Iterator[str]:
    """What to say of a site's endpoint, given its uplink's addresses, each with whether it was leased to it."""
    yield from wrong(site, text, listen_port, uplink, addresses)
    yield from leased(site, text, uplink, addresses)


def leased(site: str, text: str | None, uplink: str, addresses: Mapping[str, bool]) -> Iterator[str]:
    """Of an endpoint that may be another's one day."""
    host = endpoint.split(text)[0] if text else ""
    if any(on_lease and ip_address(address) == host for address, on_lease in addresses.items()):
        yield (
            f"site {site!r}: endpoint {text} is an address that {uplink} has on lease (DHCP or router advertisement)"
            " and may lose; give a DNS name that follows it as the site's endpoint in the mesh's stack file"
        )


def wrong(site: str, text: str | None, listen_port: int, uplink: str, addresses: Mapping[str, bool]) -> Iterator[str]:
    """Of an endpoint at which nobody reaches the site, or will not after a restart."""
    host, port = endpoint.split(text) if text else ("", 0)
    if isinstance(host, str):
        return
    own = {ip_address(address): leased for address, leased in addresses.items()}
    if host in own:
        if port != listen_port:
            yield (
                f"site {site!r}: endpoint {text} is an address of the host itself, where the gateway's port is"
                f" {listen_port}: what works now ends with the next restart; give the endpoint port {listen_port} in"
                " the mesh's stack file"
            )
    elif moved := [one for one, leased in own.items() if leased and one.version == host.version and _outside(one)]:
        yield (
            f"site {site!r}: nobody can call it at {text} any more: by DHCP, {uplink} has"
            f" {' and '.join(map(str, moved))} now; correct the endpoint in the mesh's stack file, best to a DNS name"
            " that follows the address"
        )


def _outside(address: IPv4Address | IPv6Address) -> bool:
    return not any(address.version == net.version and address in net for net in INSIDE)
