"""What a site is made of, as far as it is public: its node's configuration, its host's routes and rules, its settings.

A picture is drawn of what stands in a stack's state, and of what a change will make of it: the second is a prediction,
since a site reads its mesh when it runs. What nobody can know before a mesh's `up` (the key and the id of a new site)
stands there as a token of its own, and is masked in the real one before both are compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from wgnode.firewall import nft
from wgnode.firewall.nft import Table
from wgnode.firewall.rules import Firewall, ruleset
from wgnode.nodeconfig import KEY_LENGTH, NodeConfig, PeerConfig, canonical, encode_key
from wgnode.topology import identity
from wgnode.topology.compile import Route, SiteFacts, host_routes, node_config
from wgnode.topology.model import Topology

_TOKEN = b"not made yet: "
UNKNOWN_MAC = identity.lan_mac("unknown")
Unknown = Mapping[str, str]
"""Sites whose key the mesh's `up` makes, by name: the key that each has until then, base64, "" for none. Who still has
that one is not where the change leads, so it is never masked."""
Digests = Mapping[str, str]
"""SHA-256, hex, by part: configuration, routes, ruleset, settings."""
GUEST = "gateway."
"""How the settings begin that a gateway is booted with."""


@dataclass(frozen=True)
class Picture:
    """`settings` are what else its stack says and is no secret, by path, as `gateway.memory` and `host.address`."""

    node: NodeConfig
    routes: tuple[Route, ...]
    rules: Table
    settings: Mapping[str, Any] = field(default_factory=dict)

    def digests(self, unknown: Unknown = MappingProxyType({})) -> Digests:
        """With what was `unknown` when the picture that it is compared with was drawn left out."""
        rules = {"chains": self.rules.chains, "rules": self.rules.rules, "order": self.rules.order}
        return {
            "configuration": masked(self.node, unknown).digest,
            "routes": _digest([[route.to, route.via] for route in self.routes]),
            "ruleset": _digest(rules),
            "settings": _digest(dict(self.settings)),
        }


def draw(
    topology: Topology,
    name: str,
    facts: SiteFacts,
    firewall: Firewall,
    settings: Mapping[str, Any],
) -> Picture:
    """Of parts that fit together (`site_problems` of wgnode/topology/compile.py finds nothing)."""
    routes = host_routes(topology, name, facts.gateway_addresses) if facts.reach == "host-route" else []
    return Picture(node_config(topology, name, facts), tuple(routes), described(firewall), settings)


@lru_cache(maxsize=4096)
def described(firewall: Firewall) -> Table:
    """Most sites have the same rules as another, and the same after a change as before."""
    return nft.described(ruleset(firewall))


def masked(config: NodeConfig, unknown: Unknown) -> NodeConfig:
    """With tokens instead of the new keys of those sites, and of the MAC address that comes from an id."""
    if not unknown:
        return config
    peers = tuple(_masked_peer(peer) if is_new(peer.name, peer.public_keys, unknown) else peer for peer in config.peers)
    if not is_new(config.name, config.public_keys, unknown):
        return replace(config, peers=peers)
    lan = replace(config.lan, mac=UNKNOWN_MAC)
    return replace(config, public_keys=(token(config.name),), lan=lan, peers=peers)


def is_new(name: str, keys: tuple[bytes, ...], unknown: Unknown) -> bool:
    """Whether a site has the key that was not known."""
    return name in unknown and encode_key(keys[0]) != unknown[name]


def token(site: str, generation: int = 1) -> bytes:
    """Stands for the public key of a site whose key is not made yet: 32 bytes that are nobody's."""
    return (_TOKEN + hashlib.sha256(f"{site} {generation}".encode()).digest())[:KEY_LENGTH]


def is_token(key: bytes) -> bool:
    return key.startswith(_TOKEN)


def _masked_peer(peer: PeerConfig) -> PeerConfig:
    return replace(peer, public_keys=(token(peer.name),))


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()
