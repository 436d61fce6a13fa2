"""The link between a host and its gateway: the host has the first address of each prefix, the gateway the second."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

from wgnode.topology.model import Network

DEFAULT_V4 = "172.31.255.252/30"
DEFAULT_V6 = "fd77:676e:6f64:6500::/126"
PREFIX_LENGTHS = {4: 30, 6: 126}
MAC = "52:54:00:77:67:00"


@dataclass(frozen=True)
class Transit:
    """Addresses are in prefix order; `host` and `guest` have their prefix length ("172.31.255.253/30")."""

    networks: tuple[Network, ...]

    @classmethod
    def of(cls, v4: str | None = DEFAULT_V4, v6: str | None = DEFAULT_V6) -> Transit:
        return cls(tuple(ip_network(prefix) for prefix in (v4, v6) if prefix))

    @property
    def host(self) -> tuple[str, ...]:
        return tuple(f"{network[1]}/{network.prefixlen}" for network in self.networks)

    @property
    def guest(self) -> tuple[str, ...]:
        return tuple(f"{network[2]}/{network.prefixlen}" for network in self.networks)

    @property
    def gateways(self) -> tuple[str, ...]:
        """The gateway's next hops: the host's addresses without prefix length."""
        return tuple(str(network[1]) for network in self.networks)
