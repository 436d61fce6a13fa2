"""What a mesh's state says was given to whom: to the sites that are there, and to those that rest.

Each fact stands once: of a site that is there in the topology, of one that rests under `resting`; private keys of both
by name. A state of before sites had ids is read as what the first `up` makes of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from pulumi_wgnode.call.kind import Properties
from pulumi_wgnode.errors import ExplainedError
from wgnode import formats
from wgnode.topology import identity, labels
from wgnode.topology.allocate import Allocation
from wgnode.topology.model import FORMAT, MeshSpec, older_than_search
from wgnode.topology.networks import addresses


@dataclass(frozen=True, repr=False)
class Known:
    """All by name. `present` are those of `allocations` that don't rest; `without_ids` is a state older than ids,
    whose allocations here have ids that nobody has seen yet."""

    allocations: Mapping[str, Allocation] = field(default_factory=dict)
    present: Set[str] = frozenset()
    private_keys: Mapping[str, list[str]] = field(default_factory=dict)
    forgotten: Set[str] = frozenset()
    without_ids: bool = False
    unset_mtu_unsaid: bool = False
    """It was made by a version before 1420 was told from nothing."""
    listened: Set[int] = frozenset()
    """The ports that it has listened on: of now, and former ones as long as an endpoint has them."""

    @classmethod
    def of(cls, state: Properties) -> Known:
        """{} is the state of a mesh that is not made yet. Raises ExplainedError for one of a newer version."""
        require_understood(state)
        topology = state.get("topology", {})
        sites, port = topology.get("sites", {}), topology.get("listenPort")
        ports = frozenset(map(int, [*([] if port is None else [port]), *topology.get("formerListenPorts", ())]))
        keys = state.get("privateKeys", {})
        of_all: dict[str, Any] = {"listened": ports, "unset_mtu_unsaid": bool(topology) and older_than_search(topology)}
        if state.get("indices"):
            return cls(_older_than_ids(state), frozenset(sites), keys, without_ids=True, **of_all)
        try:
            found = {name: Allocation.from_dict(raw) for name, raw in {**state.get("resting", {}), **sites}.items()}
        except ValueError as error:
            raise ExplainedError(f"the mesh's state can't be read, and nothing was changed: {error}") from None
        return cls(found, frozenset(sites), keys, frozenset(state.get("forgotten", ())), **of_all)


def require_understood(state: Properties) -> None:
    """Raises ExplainedError for one of a newer version: to read it as ours would give away what it says of keys."""
    if why := formats.newer("the mesh's state", state.get("topology", {}).get("format"), FORMAT):
        raise ExplainedError(why)


def resting(
    spec: MeshSpec, allocations: Mapping[str, Allocation], public_keys: Mapping[str, list[str]]
) -> dict[str, dict[str, Any]]:
    """The public facts of those that are not in `spec`, from which they come back."""
    return {
        name: {
            **one.to_dict(),
            "addresses": list(addresses(spec.tunnel, one.index)),
            "publicKeys": public_keys.get(name, []),
        }
        for name, one in sorted(allocations.items())
        if name not in spec.sites
    }


def _older_than_ids(state: Properties) -> dict[str, Allocation]:
    """Every name that ever had an index gets an id and keeps the MAC address that came from its names."""
    mesh = state["topology"]["mesh"]
    return {
        name: Allocation(identity.new_id(os.urandom), int(index), identity.lan_mac_of_names(mesh, name), labels.OLD)
        for name, index in state["indices"].items()
    }
