"""The mesh as its stack's next `up` will make it, as far as that can be known before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from wgnode.nodeconfig import decode_key, encode_key
from wgnode.rollout.picture import Unknown, is_new, is_token, token
from wgnode.topology.allocate import Allocation, allocate
from wgnode.topology.model import MeshSpec, Topology
from wgnode.topology.plan import decide

FIRST_EPOCH = 1


@dataclass(frozen=True)
class Foreseen:
    """`unknown` are the sites whose key is made by that `up`: it stands there as a token (picture.py)."""

    topology: Topology
    unknown: Unknown


def foresee(spec: MeshSpec, now: Topology | None, resting: Mapping[str, Mapping[str, Any]]) -> Foreseen:
    """`now` is the mesh's output `topology` (None before its first `up`), `resting` its output of that name.

    Who has a key, an id and an address keeps them, as in the mesh itself (wgnode/topology/allocate.py). Raises
    TopologyError where the tunnel is full.
    """
    sites = now.sites if now else {}
    known = {name: Allocation.from_dict(one) for name, one in resting.items()}
    known |= {name: Allocation.from_dict(one.to_dict()) for name, one in sites.items()}
    allocations = allocate(spec, known, _tokens())
    keys = {known[name].id: (known[name].key_generation, site.public_keys) for name, site in sites.items()}
    keys |= {known[n].id: (known[n].key_generation, _keys(one)) for n, one in resting.items() if n not in sites}
    public: dict[str, tuple[bytes, ...]] = {}
    unknown: dict[str, str] = {}
    for name in spec.sites:
        generation, pair = keys.get(allocations[name].id, (None, ()))
        wanted = allocations[name].key_generation
        public[name] = (pair if generation == wanted else ()) or (token(name, wanted),)
        if is_token(public[name][0]):
            unknown[name] = encode_key(pair[0]) if pair else ""
    listened = (now.listen_port, *now.former_ports) if now else ()
    topology = decide(spec, allocations, public, now.epoch if now else FIRST_EPOCH, listened)
    return Foreseen(topology, unknown)


def masked_topology(topology: Topology, unknown: Unknown) -> Topology:
    """A real topology with the tokens of those whose keys were unknown when it was foreseen."""
    sites = {
        name: replace(one, id="", lan_mac="", public_keys=(token(name),))
        if is_new(name, one.public_keys, unknown)
        else one
        for name, one in topology.sites.items()
    }
    return replace(topology, sites=sites)


def _keys(resting: Mapping[str, Any]) -> tuple[bytes, ...]:
    return tuple(decode_key(key) for key in resting.get("publicKeys") or ())


def _tokens() -> Callable[[int], bytes]:
    """Instead of randomness: nobody sees the ids that it makes."""
    numbers = count()
    return lambda length: hashlib.sha256(f"wgnode rollout: id {next(numbers)}".encode()).digest()[:length]
