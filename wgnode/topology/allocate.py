"""What a site gets once and keeps: its id, its index (hence its addresses) and its MAC address.

An allocation outlives its site: what left the configuration rests, and comes back as it was. Only a rename moves one to
another name, only `forget` ends one (history.py judges both).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from wgnode.topology import history, identity, labels
from wgnode.topology.model import MeshSpec, TopologyError, allocated
from wgnode.topology.networks import capacity


@dataclass(frozen=True)
class Allocation:
    """`labels` are those of its pre-shared keys (labels.py); `renamed_from` is the rename that is already done,
    `key_generation` the number that its private key was made for: with another one it gets a new key."""

    id: str
    index: int
    lan_mac: str
    labels: tuple[int, ...] = labels.NEW
    renamed_from: str | None = None
    key_generation: int = 1

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "index": self.index,
            "lanMac": self.lan_mac,
            "labels": list(self.labels),
            "renamedFrom": self.renamed_from,
            "keyGeneration": self.key_generation,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Allocation:
        """Of a site in a topology, or of one that rests."""
        return cls(**allocated(raw))


def allocate(spec: MeshSpec, old: Mapping[str, Allocation], random: Callable[[int], bytes]) -> dict[str, Allocation]:
    """By name, of the sites of `spec` and of those that rest; `old` was judged by `history.problems`.

    Nobody who stays is ever moved, and an index that rests is given to nobody else. One that no longer fits a smaller
    tunnel is changed for one that does, when its site is there. Raises TopologyError when the tunnel is full.
    """
    known = _moved(spec, {name: one for name, one in old.items() if name not in spec.forget})
    room = min(capacity(network) for network in spec.tunnel)
    homeless = [name for name in sorted(spec.sites) if name not in known or known[name].index > room]
    taken = {one.index for name, one in known.items() if name not in homeless}
    free = [index for _, index in zip(homeless, _free(taken, room), strict=False)]
    if len(free) < len(homeless):
        raise TopologyError(_full(room, homeless[len(free) :], {n: known[n] for n in known if n not in spec.sites}))
    for name, index in zip(homeless, free, strict=True):
        known[name] = replace(known[name], index=index) if name in known else _new(index, known.values(), random)
    return {name: one if name not in spec.sites else _current(spec, name, one) for name, one in known.items()}


def _moved(spec: MeshSpec, old: Mapping[str, Allocation]) -> dict[str, Allocation]:
    moves = history.renames(spec, {name: one.renamed_from for name, one in old.items()})
    stay = {name: one for name, one in old.items() if name not in moves.values()}
    return stay | {name: old[source] for name, source in moves.items()}


def _current(spec: MeshSpec, name: str, one: Allocation) -> Allocation:
    site, step = spec.sites[name], labels.at(one.labels, spec.preshared_keys)
    return replace(one, labels=step, renamed_from=site.renamed_from, key_generation=site.key_generation)


def _new(index: int, others: Iterable[Allocation], random: Callable[[int], bytes]) -> Allocation:
    taken = {value for one in others for value in (one.id, one.lan_mac)}
    while True:
        id = identity.new_id(random)
        if not {id, mac := identity.lan_mac(id)} & taken:
            return Allocation(id, index, mac)


def _free(taken: set[int], room: int) -> Iterator[int]:
    return (index for index in range(1, room + 1) if index not in taken)


def _full(room: int, homeless: list[str], resting: Mapping[str, Allocation]) -> str:
    listed = ", ".join(f"{name} (index {one.index})" for name, one in sorted(resting.items())) or "none"
    return (
        f"no address is free for {', '.join(homeless)}: the tunnel has addresses for {room} sites, and those that rest"
        f" keep theirs: {listed}; take a larger tunnel, or give up what rests by name: `forget: [NAME]`"
    )
