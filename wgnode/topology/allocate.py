"""Who has which index in the mesh, hence which addresses: decided once, by name, and kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from wgnode.topology.model import Network


def capacity(network: Network) -> int:
    """How many sites a tunnel prefix has addresses for.

    Index 0 (network address, IPv6 subnet-router anycast, RFC 4291 2.6.1) and IPv4's broadcast address aren't given out.
    """
    return max(0, network.num_addresses - (2 if network.version == 4 else 1))


def allocate(indices: Mapping[str, int], names: Iterable[str], room: int) -> dict[str, int]:
    """New indices (1 to `room`) by name, from the old ones, which include those of sites long gone.

    A name keeps its index for ever, also while its site is absent, so a site that comes back is where it was and
    nobody else is ever taken for it. Only when the tunnel is full does a newcomer get the index of a site that left,
    lowest first. A name whose index no longer fits a smaller tunnel gets a new one.
    Raises ValueError when there are more names than room.
    """
    wanted = sorted(set(names))
    if len(wanted) > room:
        raise ValueError(f"{len(wanted)} sites, but the tunnel has addresses for {room}")
    kept = {name: index for name, index in indices.items() if 1 <= index <= room}
    free = _free(set(kept.values()), room)
    retired = iter(sorted((name for name in kept if name not in wanted), key=kept.__getitem__))
    for name in [name for name in wanted if name not in kept]:
        index = next(free, None)
        kept[name] = kept.pop(next(retired)) if index is None else index
    return kept


def addresses(tunnel: Iterable[Network], index: int) -> tuple[str, ...]:
    """A site's addresses in the tunnel, one a family, without prefix length."""
    return tuple(str(network[index]) for network in tunnel)


def _free(taken: set[int], room: int) -> Iterator[int]:
    return (index for index in range(1, room + 1) if index not in taken)
