"""Networks: parsed with errors that help, compared for overlaps in O(n log n), and what is in a tunnel's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv6Address,
    IPv6Network,
    NetmaskValueError,
    ip_address,
    ip_network,
)

from wgnode.topology.model import Network

Address = IPv4Address | IPv6Address
_MAPPED = IPv6Network("::ffff:0:0/96")


@dataclass(frozen=True)
class Claim:
    """A network that somebody claims: `path` in the configuration, `owner` and `what` for the message."""

    network: Network
    path: str
    owner: str
    what: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.owner, self.what, str(self.network)) if part)


@lru_cache(maxsize=1 << 14)
def of(text: str) -> Network:
    """One that was judged before: thousands are wanted again at each step of a change. Raises ValueError."""
    return ip_network(text)


def parse(text: str, family: int | None = None) -> Network:
    """Raises ValueError with what is wrong and what to do; `family` is 4 or 6, or None for either."""
    _require_no_zone(text)
    try:
        network = ip_network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise ValueError(
            f"{text!r} is not a network; write it like {'fd00:10:1::/64' if family == 6 else '10.1.0.0/24'}"
        ) from None
    if family and network.version != family:
        raise ValueError(f"{text} is IPv{network.version}, IPv{family} is wanted here")
    if "/" not in text:
        raise ValueError(f"{text} has no prefix length; write it like {text}/{24 if network.version == 4 else 64}")
    if str(network.network_address) != str(ip_network(text.split("/")[0]).network_address):
        raise ValueError(f"{text} has bits set beyond its prefix; did you mean {network}?")
    for name in ("unspecified", "loopback", "link_local", "multicast"):
        if getattr(network, f"is_{name}"):
            raise ValueError(f"{text} is {name.replace('_', '-')}; only unicast networks can be routed into a tunnel")
    if network.version == 6 and network.subnet_of(_MAPPED):
        short = ip_network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
        raise ValueError(f"{text} is IPv4 in IPv6's notation; write {short}")
    if network.prefixlen == 0:
        raise ValueError(f"{text} is everything; name the networks of this site")
    return network


def parse_address(text: str) -> Address:
    """Raises ValueError with what is wrong and what to do."""
    _require_no_zone(text)
    try:
        return ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an address; write it like 10.1.0.2, without a prefix length") from None


def _require_no_zone(text: str) -> None:
    if "%" in text:
        zone = text[text.index("%") :].split("/")[0]
        raise ValueError(f"{text!r} has a zone, which means something on one machine only; leave {zone} out")


def within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def gateway_problem(address: Address, lan: Network) -> str | None:
    """Why a gateway can't have an address of its LAN, or None.

    Of two addresses both are machines' (RFC 3021, RFC 6164); of more, IPv4's first and last are none, and IPv6's first
    is every router's (RFC 4291 2.6.1).
    """
    last = lan.broadcast_address if lan.version == 4 else None
    if lan.num_addresses > 2 and address in (lan.network_address, last):
        return f"is the network or broadcast address of {lan}; take another"
    return None


def single_problem(lan: Network) -> str | None:
    """Why a network can't be a LAN with a gateway of its own, or None."""
    if lan.num_addresses > 1:
        return None
    wider = lan.supernet()
    return (
        f"lan {lan} is one address, a machine's: its gateway needs one of its own beside it; give the network that both"
        f" are in, {wider} at least"
    )


def capacity(network: Network) -> int:
    """How many sites a tunnel prefix has addresses for.

    Index 0 (network address, IPv6 subnet-router anycast, RFC 4291 2.6.1) and IPv4's broadcast address aren't given out.
    """
    return max(0, network.num_addresses - (2 if network.version == 4 else 1))


def addresses(tunnel: Iterable[Network], index: int) -> tuple[str, ...]:
    """A site's addresses in the tunnel, one a family, without prefix length; none in a tunnel that it doesn't fit."""
    return tuple(str(network[index]) for network in tunnel if index <= capacity(network))


def overlaps(claims: Iterable[Claim]) -> Iterator[tuple[Claim, Claim]]:
    """Pairs (later, earlier) that share addresses: each claim with the narrowest other one that holds it.

    Sorted prefixes nest, so a stack of those that are still open finds the enclosing one.
    """
    claims = list(claims)
    order = {id(claim): position for position, claim in enumerate(claims)}
    open_claims: list[Claim] = []
    for claim in sorted(claims, key=lambda c: (c.network.version, int(c.network.network_address), c.network.prefixlen)):
        while open_claims and not _holds(open_claims[-1].network, claim.network):
            open_claims.pop()
        if open_claims:
            first, second = sorted((open_claims[-1], claim), key=lambda c: order[id(c)])
            yield second, first
        open_claims.append(claim)


def _holds(outer: Network, inner: Network) -> bool:
    same = outer.version == inner.version
    return same and outer.network_address <= inner.network_address <= outer.broadcast_address  # type: ignore[operator]
