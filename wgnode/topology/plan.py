"""From what is wanted and what was allocated before to the mesh's topology."""

from __future__ import annotations

from collections.abc import Mapping

from wgnode.topology.allocate import addresses, allocate, capacity
from wgnode.topology.model import MeshSpec, SiteTopology, Topology


def decide(
    spec: MeshSpec, indices: Mapping[str, int], public_keys: Mapping[str, tuple[bytes, ...]], epoch: int
) -> tuple[Topology, dict[str, int]]:
    """The topology, and the indices to remember for next time (which include those of sites that left).

    `public_keys` has (current, next) for each site of `spec`.
    """
    allocated = allocate(indices, spec.sites, min(capacity(network) for network in spec.tunnel))
    sites = {
        name: SiteTopology(
            index=allocated[name],
            addresses=addresses(spec.tunnel, allocated[name]),
            public_keys=public_keys[name],
            endpoint=site.endpoint,
            lans=site.lans,
            keepalive=0 if site.endpoint else spec.keepalive,
        )
        for name, site in spec.sites.items()
    }
    return Topology(spec.name, spec.tunnel, spec.listen_port, epoch, sites), allocated
