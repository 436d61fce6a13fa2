"""Cryptokey routing (wp 2): which peer an inner address belongs to, by longest prefix, for both families."""

from __future__ import annotations

from collections.abc import Hashable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Generic, TypeVar

Network = IPv4Network | IPv6Network
Owner = TypeVar("Owner", bound=Hashable)

CACHE_SIZE = 8192


class _Family(Generic[Owner]):
    """A dictionary for each prefix length in use, longest first: (length, shift, network bits -> owner)."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.by_length: dict[int, dict[int, Owner]] = {}
        self.search: list[tuple[int, dict[int, Owner]]] = []

    def table(self, length: int) -> dict[int, Owner]:
        """The table of this prefix length, made if missing."""
        if length not in self.by_length:
            self.by_length[length] = {}
            self._order()
        return self.by_length[length]

    def discard(self, length: int, bits: int) -> None:
        """Remove one entry that is there."""
        table = self.by_length[length]
        del table[bits]
        if not table:
            del self.by_length[length]
            self._order()

    def _order(self) -> None:
        self.search = [(self.width - n, self.by_length[n]) for n in sorted(self.by_length, reverse=True)]


class AllowedIPs(Generic[Owner]):
    """Networks and their owners. A network has one owner: given to another, it moves there."""

    def __init__(self) -> None:
        self._families: dict[int, _Family[Owner]] = {4: _Family(32), 6: _Family(128)}
        self._networks: dict[Owner, dict[Network, None]] = {}
        self._cache: dict[bytes, Owner | None] = {}

    def insert(self, network: str | Network, owner: Owner) -> None:
        """Host bits are masked. Raises ValueError for what is no network."""
        net = ip_network(network, strict=False)
        table = self._families[net.version].table(net.prefixlen)
        bits = _bits(net)
        before = table.get(bits)
        if before is not None and before != owner:
            del self._networks[before][net]
        table[bits] = owner
        self._networks.setdefault(owner, {})[net] = None
        self._cache.clear()

    def remove(self, network: str | Network, owner: Owner) -> None:
        """Nothing happens unless the owner holds exactly this network."""
        net = ip_network(network, strict=False)
        held = self._networks.get(owner, {})
        if net in held:
            del held[net]
            self._families[net.version].discard(net.prefixlen, _bits(net))
            self._cache.clear()

    def remove_owner(self, owner: Owner) -> None:
        """Remove all of an owner's networks."""
        for net in self._networks.pop(owner, {}):
            self._families[net.version].discard(net.prefixlen, _bits(net))
        self._cache.clear()

    def networks(self, owner: Owner) -> list[Network]:
        """An owner's networks in the order they were added."""
        return list(self._networks.get(owner, ()))

    def lookup(self, address: bytes) -> Owner | None:
        """The owner of the longest prefix that holds this address of 4 or 16 bytes.

        Answers are cached by address, since traffic asks for few addresses often; any change empties the cache.
        """
        try:
            return self._cache[address]
        except KeyError:
            return self._search(address)

    def __len__(self) -> int:
        """Networks of both families."""
        return sum(len(table) for family in self._families.values() for table in family.by_length.values())

    def _search(self, address: bytes) -> Owner | None:
        value = int.from_bytes(address, "big")
        found = None
        for shift, table in self._families[4 if len(address) == 4 else 6].search:
            found = table.get(value >> shift)
            if found is not None:
                break
        if len(self._cache) >= CACHE_SIZE:
            self._cache.clear()
        self._cache[bytes(address)] = found
        return found


def _bits(net: Network) -> int:
    """The network's prefix bits as an integer."""
    return int(net.network_address) >> (net.max_prefixlen - net.prefixlen)
