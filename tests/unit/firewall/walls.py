"""Firewalls of every kind that the rules can be made of, by a seed: what nft makes of them must be no difference."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from random import Random

from wgnode.firewall.expressions import Network
from wgnode.firewall.forwards import Before, Forward
from wgnode.firewall.rules import Allow, Firewall
from wgnode.image.paths import Paths
from wgnode.topology.transit import Transit

LINKS = ("wan0", "enp1s0.100", "br-0123456789ab", "eth0:1", "a", "enx001122334455", "0", "wan-1", "dmz_2", "x@y")
TRANSITS = (("172.31.255.252/30", "fd77:676e:6f64:6500::/126"), ("172.31.255.248/30", None), (None, "fd77::/126"))
PORTS = (1, 22, 53, 80, 443, 8080, 65535)
PLACES = ("10.0.0.0", "10.0.1.0", "10.0.0.128", "192.0.2.77", "255.255.255.255", "0.0.0.0", "100.64.0.0")
PLACES6 = ("2001:db8::", "2001:db8:0:1::", "fe80::", "::", "fc00::7", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
NEIGHBOURS = tuple(
    map(
        ip_network,
        (
            *("10.0.0.0/24", "10.0.1.0/25", "10.0.1.128/26", "192.0.2.1/32", "192.0.2.2/32", "192.0.2.4/30"),
            *("2001:db8::/64", "2001:db8:0:1::/65"),
        ),
    )
)
"""Networks that follow one another and are no larger one together."""


def walls(seed: int, number: int) -> Iterator[Firewall]:
    random = Random(seed)
    return (_wall(random) for _ in range(number))


def _wall(random: Random) -> Firewall:
    transit = Transit.of(*random.choice(TRANSITS))
    return Firewall(
        uplink=random.choice(LINKS),
        transit=transit.networks,
        guest=tuple(address.split("/")[0] for address in transit.guest),
        listen_port=random.choice(PORTS),
        management=random.choice((NEIGHBOURS, _networks(random, 3), _networks(random, 1))),
        ssh_port=random.choice(PORTS),
        allow=tuple(_allow(random) for _ in range(random.randint(0, 4))),
        transit_interface=Paths(random.choice(("", "0b1c2d3e"))).transit_tap,
        forward=tuple(_forward(random) for _ in range(random.randint(0, 5))),
        keep=random.random() < 0.4,
        before=Before(random.choice(((), (4,), (6,), (4, 6))), _links(random, 2), _links(random, 2)),
        left_alone=_links(random, 3),
        inside=_some(random),
        outside=random.choice(((), _networks(random, 2), (ip_network("100.70.1.0/30"), ip_network("192.168.1.0/24")))),
    )


def _allow(random: Random) -> Allow:
    return Allow(random.choice(("tcp", "udp")), random.choice(PORTS), _some(random))


def _forward(random: Random) -> Forward:
    if random.random() < 0.5:
        return Forward(random.choice(("tcp", "udp")), random.choice(PORTS), None, _some(random))
    protocol = random.choice((None, "tcp", "udp"))
    port = random.choice((None, *PORTS)) if protocol else None
    return Forward(protocol, port, _networks(random, 1)[0], _some(random))


def _links(random: Random, most: int) -> tuple[str, ...]:
    return tuple(random.sample(LINKS, random.randint(0, most)))


def _some(random: Random) -> tuple[Network, ...]:
    return random.choice(((), _networks(random, 3), NEIGHBOURS))


def _networks(random: Random, number: int) -> tuple[Network, ...]:
    return tuple(_network(random) for _ in range(number))


def _network(random: Random) -> Network:
    if random.random() < 0.5:
        return ip_network((random.choice(PLACES), random.choice((0, 1, 7, 8, 15, 24, 25, 31, 32))), strict=False)
    return ip_network((random.choice(PLACES6), random.choice((0, 1, 10, 32, 48, 63, 64, 65, 127, 128))), strict=False)
