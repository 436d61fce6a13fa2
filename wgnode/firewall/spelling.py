"""What versions of nft list in other words than they were given, in one spelling. Pure.

Prefixes of a set that follow one another come back as one range (1.0.6 and 1.1), and a protocol by its number where the
host has no /etc/protocols (Debian's netbase).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network, summarize_address_range
from typing import Any

from wgnode.firewall.expressions import prefix

_PROTOCOLS = {6: "tcp", 17: "udp"}


def protocol(value: Any) -> Any:
    """As `meta l4proto` is compared with."""
    return _PROTOCOLS.get(value, value) if isinstance(value, int) else value


def elements(items: Iterable[Any]) -> list[Any]:
    """Of a set: the fewest prefixes where all are addresses of one family, else as they are."""
    items = list(items)
    try:
        networks = [network for item in items for network in _networks(item)]
        return [prefix(one) for one in collapse_addresses(networks)]  # type: ignore[type-var]  # TypeError, if mixed
    except (KeyError, TypeError, ValueError):
        return items


def _networks(item: Any) -> Iterator[IPv4Network | IPv6Network]:
    """Raises ValueError, TypeError or KeyError for what is none."""
    if isinstance(item, str):
        yield ip_network(item)
    elif "range" in item:
        first, last = (ip_address(str(one)) for one in item["range"])  # ports are no addresses
        yield from summarize_address_range(first, last)
    else:
        yield ip_network(f"{item['prefix']['addr']}/{item['prefix']['len']}")
