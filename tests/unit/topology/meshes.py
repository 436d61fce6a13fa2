"""Meshes for the tests of the topology: plain configurations, and what is decided from them."""

from __future__ import annotations

import hashlib
from ipaddress import ip_interface
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode import recipient
from wgnode.topology import labels
from wgnode.topology.allocate import Allocation
from wgnode.topology.bundle import Bundle
from wgnode.topology.identity import lan_mac
from wgnode.topology.model import MeshSpec, Topology
from wgnode.topology.plan import decide

PRIVATE, PUBLIC = recipient.generate()
SECRET = bytes(range(32))


def two_sites() -> dict[str, Any]:
    """berlin can be called, cabin can't."""
    return {
        "name": "dev",
        "tunnel": {"v4": "10.99.0.0/24", "v6": "fd00:99::/64"},
        "sites": {
            "berlin": site("10.1.0.0/24", "fd00:10:1::/64", endpoint="198.51.100.2:51820"),
            "cabin": site("10.2.0.0/24", "fd00:10:2::/64"),
        },
    }


def site(*lans: str, endpoint: str | None = None) -> dict[str, Any]:
    return {"lans": list(lans), "recipient": PUBLIC, "endpoint": endpoint}


def private_key(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def public_key(name: str) -> bytes:
    return X25519PrivateKey.from_private_bytes(private_key(name)).public_key().public_bytes_raw()


def site_id(name: str) -> str:
    return hashlib.sha256(f"id of {name}".encode()).hexdigest()[:16]


def allocation_of(name: str, index: int, steps: tuple[int, ...] = labels.NEW) -> Allocation:
    return Allocation(site_id(name), index, lan_mac(site_id(name)), steps)


def topology_of(raw: dict[str, Any], indices: dict[str, int] | None = None, epoch: int = 1) -> Topology:
    """Indices that aren't given are the lowest free ones, by name."""
    spec, indices = MeshSpec.from_dict(raw), dict(indices or {})
    free = iter(sorted(set(range(1, 255)) - set(indices.values())))
    indices |= {name: next(free) for name in sorted(spec.sites) if name not in indices}
    allocations = {name: allocation_of(name, index) for name, index in indices.items()}
    return decide(spec, allocations, {name: (public_key(name),) for name in spec.sites}, epoch)


def lans_of(topology: Topology, *addresses: str) -> list[str]:
    """Of all sites, of the families of these addresses: what somebody reaches who reaches all."""
    versions = {ip_interface(text).version for text in addresses}
    lans = (lan for _, one in sorted(topology.sites.items()) for lan in one.lans)
    return [lan for lan in lans if ip_interface(lan).version in versions]


def bundle_of(topology: Topology, name: str) -> Bundle:
    return Bundle(topology.mesh, name, (private_key(name),), SECRET, topology.epoch, site_id(name))
