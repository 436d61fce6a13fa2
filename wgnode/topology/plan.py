"""From what is wanted and what was allocated to the mesh's topology."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wgnode.topology import reached
from wgnode.topology.allocate import Allocation
from wgnode.topology.model import MeshSpec, SiteTopology, Topology
from wgnode.topology.networks import addresses


def decide(
    spec: MeshSpec,
    allocations: Mapping[str, Allocation],
    public_keys: Mapping[str, tuple[bytes, ...]],
    epoch: int,
    listened: Iterable[int] = (),
) -> Topology:
    """`allocations` and `public_keys` (current, next) have each site of `spec`; others, which rest, are passed over.

    `listened` are the ports that the mesh is known to have listened on.
    """
    sites = {name: _site(spec, name, allocations[name], public_keys[name]) for name in spec.sites}
    return Topology(spec.name, spec.tunnel, spec.listen_port, epoch, sites, reached.former_ports(spec, listened))


def _site(spec: MeshSpec, name: str, allocation: Allocation, public_keys: tuple[bytes, ...]) -> SiteTopology:
    site = spec.sites[name]
    return SiteTopology(
        id=allocation.id,
        index=allocation.index,
        addresses=addresses(spec.tunnel, allocation.index),
        public_keys=public_keys,
        endpoint=site.endpoint,
        lans=site.lans,
        keepalive=0 if site.endpoint else spec.keepalive,
        lan_mac=allocation.lan_mac,
        labels=allocation.labels,
        renamed_from=allocation.renamed_from,
        key_generation=allocation.key_generation,
        mtu=site.mtu or spec.mtu,
    )
