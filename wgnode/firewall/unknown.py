"""What comes in by an interface that the table does not know: closed where it comes from outside.

A card is renamed by another kernel, or becomes a port of a bridge or bond, and what was the uplink's traffic arrives
under a name that no rule has. By its source it is still told from that of other interfaces (a second LAN, containers, a
management network), which are left alone. See docs/decisions/uplink.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import TYPE_CHECKING

from wgnode.firewall.expressions import (
    ACCEPT,
    FROM_BRIDGE,
    Expression,
    Network,
    Rule,
    coming_from,
    family,
    match,
    merged,
    payload,
    prefix,
    set_of,
)

if TYPE_CHECKING:
    from wgnode.firewall.rules import Firewall

PRIVATE: tuple[Network, ...] = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/32", "10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918, RFC 3927
            *("::/128", "fc00::/7", "fe80::/10"),  # RFC 4193, RFC 4291; and whoever has no address yet
        ),
    )
)
"""Sources that no packet from the internet has."""
SHARED = ip_network("100.64.0.0/10")
"""Behind a provider's NAT (RFC 6598): outside for whoever has an address in it, no source from the internet else."""
OWN = ("lo", "wgnode-br0", "wgnode-wan")
OWN_PATTERNS = ("wgnbr-*", "wgnwan-*")
"""The loopback, and the gateways' LAN bridges and transit links (wgnode.image.paths), as nftables writes patterns."""
ONLY_BRIDGED: tuple[Expression, ...] = (
    FROM_BRIDGE,
    match({"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, False),
)
"""A bridge's frames that br_netfilter shows to us, where the host itself would not answer by it: no way out of ours."""


def left_alone(firewall: Firewall, chain: str) -> Iterable[Rule]:
    """Interfaces and sources that a chain leaves alone, the uplink too, which has one of its own: all that is behind
    these rules comes from outside."""
    names = dict.fromkeys((firewall.uplink, *OWN, *firewall.left_alone))
    yield Rule(f"{chain}-known", (coming_from(set_of(list(names))), ACCEPT))
    for number, pattern in enumerate(OWN_PATTERNS, 1):
        yield Rule(f"{chain}-known-{number}", (coming_from(pattern), ACCEPT))
    for version in (4, 6):
        if networks := _of(version, _private(firewall.outside)):
            outside = _of(version, firewall.outside)
            but = (_source(outside, "!="),) if outside else ()
            yield Rule(f"{chain}-private-v{version}", (_source(networks), *but, ACCEPT))
    for version in (4, 6):
        if networks := _of(version, firewall.inside):
            yield Rule(f"{chain}-inside-v{version}", (_source(networks), ACCEPT))


def judges(firewall: Firewall, interface: str, source: IPv4Address | IPv6Address) -> bool:
    """Whether the rules for what comes from outside hold for it; `interface` is no gateway's."""
    if interface == firewall.uplink:
        return True
    if interface in (*OWN, *firewall.left_alone) or any(source in one for one in firewall.inside):
        return False
    private = any(source in one for one in _private(firewall.outside))
    return not private or any(source in one for one in firewall.outside)


def _private(outside: Iterable[Network]) -> tuple[Network, ...]:
    shared = any(one.version == 4 and one.overlaps(SHARED) for one in outside)
    return PRIVATE if shared else (*PRIVATE, SHARED)


def _of(version: int, networks: Iterable[Network]) -> list[Network]:
    return merged(one for one in networks if one.version == version)


def _source(networks: list[Network], operator: str = "==") -> Expression:
    source = payload(family(networks[0]), "saddr")
    return match(source, set_of([prefix(one) for one in networks]), operator)
