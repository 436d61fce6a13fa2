"""The mesh as wanted (`MeshSpec`, from configuration) and as decided (`Topology`, public, shared between stacks)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from wgnode import endpoint, formats
from wgnode.nodeconfig import decode_key, encode_key
from wgnode.topology import labels, mtu
from wgnode.topology.identity import parse_id

FORMAT = 2
FOUND = {"unsetMtu": "found"}
"""In a topology: where a site has no `mtu`, nobody has set one. Versions before left 1420 out too, which all sites
without one then had: so without this they have it until the mesh's next `up`."""
DEFAULT_KEEPALIVE = 25
DEFAULT_LISTEN_PORT = 51820

Network = IPv4Network | IPv6Network


class TopologyError(ValueError):
    """Topology, bundle and site do not fit together; the text says which and what to do."""


class NewerTopology(TopologyError):
    """It, or the bundle, is of a newer version; the text says so, and the way out."""


@dataclass(frozen=True)
class SiteSpec:
    """A site as configured. `endpoint` is "host:port" or None where nobody can call it; `recipient` is public.

    `renamed_from` is the name that the site had before; another `key_generation` than last time means a new key.
    """

    lans: tuple[str, ...]
    recipient: str
    endpoint: str | None = None
    renamed_from: str | None = None
    key_generation: int = 1
    mtu: int | None = None


@dataclass(frozen=True)
class MeshSpec:
    """A mesh as configured and validated (see validate.py). `keepalive` is in seconds.

    `forget` names sites whose allocations and keys end; `preshared_keys` is the step of their change (labels.py).
    """

    name: str
    tunnel: tuple[Network, ...]
    sites: Mapping[str, SiteSpec]
    keepalive: int = DEFAULT_KEEPALIVE
    listen_port: int = DEFAULT_LISTEN_PORT
    mtu: int | None = None
    forget: tuple[str, ...] = ()
    preshared_keys: labels.Step | None = None

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> MeshSpec:
        """From validated configuration (camelCase)."""
        return cls(
            name=raw["name"],
            tunnel=tuple(ip_network(raw["tunnel"][family]) for family in ("v4", "v6") if raw["tunnel"].get(family)),
            sites={
                name: SiteSpec(
                    lans=tuple(str(ip_network(lan)) for lan in site["lans"]),
                    recipient=site["recipient"].strip(),
                    endpoint=None if site.get("endpoint") is None else endpoint.canonical(site["endpoint"]),
                    renamed_from=site.get("renamedFrom"),
                    key_generation=site.get("keyGeneration") or 1,
                    mtu=site.get("mtu"),
                )
                for name, site in raw["sites"].items()
            },
            keepalive=raw.get("keepalive", DEFAULT_KEEPALIVE),
            listen_port=raw.get("listenPort", DEFAULT_LISTEN_PORT),
            mtu=raw.get("mtu"),
            forget=tuple(raw.get("forget") or ()),
            preshared_keys=raw.get("presharedKeys"),
        )


@dataclass(frozen=True)
class SiteTopology:
    """What everybody may know of a site. `id` and `lan_mac` (of its gateway) are its own for ever, its name isn't.

    `addresses` are its own in the tunnel, one a family, without prefix length. `keepalive` is the interval in seconds
    at which this site calls its peers: 0 for a site with an endpoint, whose firewall forwards the port whether or not
    a connection is tracked; a site that nobody can call must keep its own mapping open.
    `labels` say which pre-shared keys it has with others (labels.py); `renamed_from` is its name before, where the
    configuration still says so. `mtu` is the largest inner packet, in bytes, that may go on the way to it and
    from it; None where nobody has set one (mtu.py).
    """

    id: str
    index: int
    addresses: tuple[str, ...]
    public_keys: tuple[bytes, ...]
    endpoint: str | None
    lans: tuple[str, ...]
    keepalive: int
    lan_mac: str
    labels: tuple[int, ...] = labels.NEW
    renamed_from: str | None = None
    key_generation: int = 1
    mtu: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "index": self.index,
            "addresses": list(self.addresses),
            "publicKeys": [encode_key(key) for key in self.public_keys],
            "endpoint": self.endpoint,
            "lans": list(self.lans),
            "keepalive": self.keepalive,
            "lanMac": self.lan_mac,
            "labels": list(self.labels),
            **({"renamedFrom": self.renamed_from} if self.renamed_from else {}),
            **({"keyGeneration": self.key_generation} if self.key_generation != 1 else {}),
            **({} if self.mtu is None else {"mtu": self.mtu}),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], unset: int | None = None) -> SiteTopology:
        """`unset` is the mtu where there is none."""
        return cls(
            addresses=tuple(str(ip_address(address)) for address in raw["addresses"]),
            public_keys=tuple(decode_key(key) for key in raw["publicKeys"]),
            endpoint=raw.get("endpoint"),
            lans=tuple(str(ip_network(lan)) for lan in raw["lans"]),
            keepalive=int(raw["keepalive"]),
            mtu=int(raw["mtu"]) if "mtu" in raw else unset,
            **allocated(raw),
        )


def older_than_search(raw: Mapping[str, Any]) -> bool:
    """Whether a topology doesn't say which sites' mtu was set."""
    return not FOUND.items() <= raw.items()


def allocated(raw: Mapping[str, Any]) -> dict[str, Any]:
    """By field, what a site keeps also while it rests, from its written form. Raises TopologyError for its id."""
    return {
        "id": parse_id(raw["id"]),
        "index": int(raw["index"]),
        "lan_mac": str(raw["lanMac"]),
        "labels": labels.parse(raw["labels"]),
        "renamed_from": raw.get("renamedFrom"),
        "key_generation": int(raw.get("keyGeneration", 1)),
    }


@dataclass(frozen=True)
class Topology:
    """The whole mesh's public facts, as one value of size O(sites).

    `former_ports` are listen ports that it had before, as long as a site's endpoint still has one of them.
    """

    mesh: str
    tunnel: tuple[Network, ...]
    listen_port: int
    epoch: int
    sites: Mapping[str, SiteTopology]
    former_ports: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The plain value that the mesh stack exports as `topology`."""
        former = {"formerListenPorts": list(self.former_ports)} if self.former_ports else {}
        return {
            "format": FORMAT,
            "mesh": self.mesh,
            "tunnel": {f"v{network.version}": str(network) for network in self.tunnel},
            "listenPort": self.listen_port,
            **former,
            "epoch": self.epoch,
            **FOUND,
            "sites": {name: site.to_dict() for name, site in sorted(self.sites.items())},
        }

    @classmethod
    def from_dict(cls, raw: Any) -> Topology:
        """Raises TopologyError when the value was not written by `to_dict` of this format."""
        if not isinstance(raw, Mapping) or raw.get("format") != FORMAT:
            found = raw.get("format") if isinstance(raw, Mapping) else type(raw).__name__
            if why := formats.newer("the topology", found, FORMAT):
                raise NewerTopology(why)
            raise TopologyError(f"the topology has format {found!r}, this version reads {FORMAT}")
        unset = mtu.UNSEARCHED if older_than_search(raw) else None
        try:
            return cls(
                mesh=str(raw["mesh"]),
                tunnel=tuple(ip_network(network) for _, network in sorted(raw["tunnel"].items()) if network),
                listen_port=int(raw["listenPort"]),
                epoch=int(raw["epoch"]),
                sites={name: SiteTopology.from_dict(site, unset) for name, site in raw["sites"].items()},
                former_ports=tuple(int(port) for port in raw.get("formerListenPorts") or ()),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise TopologyError(f"the topology is damaged: {type(error).__name__}: {error}") from error
