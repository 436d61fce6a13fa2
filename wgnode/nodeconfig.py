"""What a gateway boots with: `NodeConfig` (baked in, public) and `NodeSecrets` (beside it, never in it).

Compiled and validated where the mesh is deployed, loaded strictly inside the gateway. Both are canonical JSON
with a format version: the same content always has the same bytes, hence the same digest. Standard library only.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address, ip_interface
from typing import Any

from wgnode import endpoint, networktext
from wgnode.policy import written as access
from wgnode.policy.model import Policy
from wgnode.work import Work, at_once

FORMAT = 1
DEFAULT_INTERFACE, DEFAULT_MTU = "wg0", 1420
KEY_LENGTH = 32
FIXED = ("mesh", "interface", "transit", "lan", "path_mtu")
"""What of a configuration a running node can't change: which mesh it is of, its network cards, and whether it searches
path MTUs, since its sockets are made for that."""


class ConfigError(ValueError):
    """The blob is not a configuration of this format; nothing was loaded."""


@dataclass(frozen=True)
class LinkConfig:
    """One network card of the gateway, found by its MAC address.

    `addresses` are interface addresses ("172.31.255.254/30"), `gateways` the next hops of the default routes
    (at most one a family), `proxy_arp` answers neighbours for every route that leads elsewhere,
    `masquerade` (of the LAN's card) gives what comes out of the tunnel the gateway's own address there as source.
    """

    mac: str
    addresses: tuple[str, ...]
    gateways: tuple[str, ...] = ()
    proxy_arp: bool = False
    masquerade: bool = False


@dataclass(frozen=True)
class PeerConfig:
    """A peer: up to two static public keys (current, next) over one set of allowed IPs.

    `endpoint` is "192.0.2.1:51820", "[2001:db8::1]:51820", "name.example:51820" (resolved by the host) or None.
    `persistent_keepalive` is in seconds, 0 for off. `mtu` is that of the routes to it, in bytes of inner packet, where
    it is smaller than the node's. `probe` is the address in the tunnel that answers echoes, by which the path's MTU is
    searched; None: the only /32 of the allowed IPs, or the only /128. `expires` is in seconds since 1970: from then on
    it is refused, by the node's own clock. `access` is its class in the node's policy; None, and it is not judged.
    """

    name: str
    public_keys: tuple[bytes, ...]
    allowed_ips: tuple[str, ...]
    endpoint: str | None = None
    persistent_keepalive: int = 0
    mtu: int | None = None
    probe: str | None = None
    expires: int | None = None
    access: int | None = None


@dataclass(frozen=True)
class CarrierConfig:
    """What is said of the network that a site is reached by, wire bytes: a first guess for the first second.

    `up` is from the site, and so for what its node sends; `down`, what others may send to it, is there to be held
    against what they have found. None where nothing is said of that way.
    """

    name: str
    up: int | None = None
    down: int | None = None


@dataclass(frozen=True)
class NodeConfig:
    """Everything a gateway needs but its secrets. `mtu` is bytes of inner packet.

    `peers` are the other sites, `devices` people's tunnels, each with exactly its own addresses of the LAN.
    """

    mesh: str
    name: str
    public_keys: tuple[bytes, ...]
    listen_port: int
    addresses: tuple[str, ...]
    transit: LinkConfig
    lan: LinkConfig
    peers: tuple[PeerConfig, ...] = ()
    interface: str = DEFAULT_INTERFACE
    mtu: int = DEFAULT_MTU
    carrier: CarrierConfig | None = None
    path_mtu: bool = True
    """Whether it searches, for each peer, how large packets may be, and acts on that."""
    devices: tuple[PeerConfig, ...] = ()
    policy: Policy | None = None
    """What devices may reach; None where nothing is judged."""

    def __hash__(self) -> int:
        """Of ten thousand peers at once."""
        return hash(self.digest)

    @property
    def everybody(self) -> tuple[PeerConfig, ...]:
        """All that the node talks to."""
        return self.peers + self.devices

    def to_json(self) -> bytes:
        """Canonical bytes: peers by name, sorted keys, no white space."""
        return self._canonical(_peers_to_dict(self.peers), _peers_to_dict(self.devices))

    def _canonical(self, peers: dict[str, Any], devices: dict[str, Any]) -> bytes:
        return canonical(
            {
                "format": FORMAT,
                "mesh": self.mesh,
                "name": self.name,
                "publicKeys": [encode_key(key) for key in self.public_keys],
                "listenPort": self.listen_port,
                "addresses": list(self.addresses),
                "transit": _link_to_dict(self.transit),
                "lan": _link_to_dict(self.lan),
                "peers": peers,
                "interface": self.interface,
                "mtu": self.mtu,
                # Left out where it isn't set: sites from before it was there stay what they are.
                **({"carrier": _carrier_to_dict(self.carrier)} if self.carrier else {}),
                **({} if self.path_mtu else {"pathMtu": "off"}),
                **({"devices": devices} if devices else {}),
                **({} if self.policy is None else {"policy": access.written(self.policy)}),
            }
        )

    @classmethod
    def from_json(cls, blob: bytes) -> NodeConfig:
        """Raises ConfigError for anything that `to_json` would not have written."""
        return at_once(cls.reading(blob))

    @classmethod
    def reading(cls, blob: bytes) -> Work[NodeConfig]:
        """As `from_json`, a step a peer (wgnode/work.py)."""
        try:
            raw = _load(blob)
            peers, devices = raw["peers"], raw.get("devices", {})
            config = cls(
                mesh=str(raw["mesh"]),
                name=str(raw["name"]),
                public_keys=tuple(decode_key(key) for key in raw["publicKeys"]),
                listen_port=int(raw["listenPort"]),
                addresses=tuple(str(ip_interface(address)) for address in raw["addresses"]),
                transit=_link_from_dict(raw["transit"]),
                lan=_link_from_dict(raw["lan"]),
                peers=(yield from _reading_peers(peers)),
                interface=str(raw["interface"]),
                mtu=int(raw["mtu"]),
                carrier=_carrier_from_dict(raw["carrier"]) if "carrier" in raw else None,
                path_mtu="pathMtu" not in raw,
                devices=(yield from _reading_peers(devices)),
                policy=access.read(raw["policy"]) if "policy" in raw else None,
            )
            _same(config._canonical(peers, devices), blob)
        except ConfigError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ConfigError(f"node configuration: {type(error).__name__}: {error}") from error
        vars(config)["digest"] = hashlib.sha256(blob).hexdigest()  # `digest` would write all of it again
        return config

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes, hex: what a node reports as `loaded`. Asked for at each report on health."""
        return hashlib.sha256(self.to_json()).hexdigest()


def fixed_differences(old: NodeConfig, new: NodeConfig) -> str | None:
    """Why a node has to boot to come from one configuration to the other, None where it can change while it runs."""
    differing = [name for name in FIXED if getattr(old, name) != getattr(new, name)]
    return f"{' and '.join(differing)} can't be changed while it runs" if differing else None


@dataclass(frozen=True, repr=False)
class NodeSecrets:
    """A gateway's private keys (current, next) and, by peer's current public key, up to two pre-shared keys."""

    private_keys: tuple[bytes, ...]
    preshared_keys: Mapping[bytes, tuple[bytes, ...]] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash(self.private_keys)

    def to_json(self) -> bytes:
        return canonical(
            {
                "format": FORMAT,
                "privateKeys": [encode_key(key) for key in self.private_keys],
                "presharedKeys": {
                    encode_key(peer): [encode_key(key) for key in keys] for peer, keys in self.preshared_keys.items()
                },
            }
        )

    @classmethod
    def from_json(cls, blob: bytes) -> NodeSecrets:
        """Raises ConfigError, whose text never quotes the blob."""
        try:
            raw = _load(blob)
            return cls(
                private_keys=tuple(decode_key(key) for key in raw["privateKeys"]),
                preshared_keys={
                    decode_key(peer): tuple(decode_key(key) for key in keys)
                    for peer, keys in raw["presharedKeys"].items()
                },
            )
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ConfigError("node secrets: malformed (their content is not shown)") from None


@dataclass(frozen=True)
class LivePeer:
    """A peer as a running device knows it, without what changes by itself (endpoint, counters, handshakes)."""

    public_keys: tuple[bytes, ...]
    preshared_keys: tuple[bytes, ...]
    allowed_ips: tuple[str, ...]
    persistent_keepalive: int

    def canonical(self) -> bytes:
        """As it enters the live digest; pre-shared keys as their hashes."""
        return canonical(
            {
                "publicKeys": [encode_key(key) for key in self.public_keys],
                "presharedKeys": [hashlib.sha256(key).hexdigest() for key in self.preshared_keys],
                "allowedIPs": sorted(self.allowed_ips),
                "persistentKeepalive": self.persistent_keepalive,
            }
        )


def live_digest(public_keys: tuple[bytes, ...], listen_port: int, peers: Mapping[tuple[bytes, ...], bytes]) -> str:
    """SHA-256, hex, over a device's configuration as it is now: canonical JSON of all of it.

    `peers` are LivePeer.canonical by their public keys.
    """
    own = canonical({"listenPort": listen_port, "peers": [], "publicKeys": [encode_key(key) for key in public_keys]})
    before, after = own.split(b"[]", 1)
    described = b",".join(peers[keys] for keys in sorted(peers))
    return hashlib.sha256(before + b"[" + described + b"]" + after).hexdigest()


def expected_live_digest(config: NodeConfig, secrets: NodeSecrets) -> str:
    """What `live_digest` gives on a device that runs exactly this configuration."""
    peers = {
        peer.public_keys: LivePeer(
            peer.public_keys,
            secrets.preshared_keys.get(peer.public_keys[0], ()),
            tuple(map(networktext.canonical, peer.allowed_ips)),
            peer.persistent_keepalive,
        ).canonical()
        for peer in config.everybody
    }
    return live_digest(config.public_keys, config.listen_port, peers)


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no white space, as UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def encode_key(key: bytes) -> str:
    """A 32-byte key as base64, the way `wg` writes it."""
    return base64.b64encode(key).decode()


def decode_key(text: str) -> bytes:
    """The 32 bytes of a base64 key. Raises ValueError without quoting the text: it may be a secret."""
    try:
        key = base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise ValueError("a key is not valid base64") from None
    if len(key) != KEY_LENGTH:
        raise ValueError(f"a key has {len(key)} bytes instead of {KEY_LENGTH}")
    return key


def _same(written: bytes, blob: bytes) -> None:
    if written != blob:
        raise ConfigError("node configuration: not in canonical form, so not written by this version")


def _load(blob: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(blob.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise ValueError(f"format {raw.get('format') if isinstance(raw, dict) else None!r}, this node reads {FORMAT}")
    return raw


def _link_to_dict(link: LinkConfig) -> dict[str, Any]:
    return {
        "mac": link.mac,
        "addresses": list(link.addresses),
        "gateways": list(link.gateways),
        "proxyArp": link.proxy_arp,
        # Left out where it isn't set: gateways from before it was there stay what they are.
        **({"masquerade": True} if link.masquerade else {}),
    }


def _link_from_dict(raw: dict[str, Any]) -> LinkConfig:
    return LinkConfig(
        mac=str(raw["mac"]),
        addresses=tuple(str(ip_interface(address)) for address in raw["addresses"]),
        gateways=tuple(str(gateway) for gateway in raw["gateways"]),
        proxy_arp=bool(raw["proxyArp"]),
        masquerade=bool(raw.get("masquerade", False)),
    )


def _carrier_to_dict(carrier: CarrierConfig) -> dict[str, Any]:
    sizes = {"up": carrier.up, "down": carrier.down}
    return {"name": carrier.name, **{way: size for way, size in sizes.items() if size is not None}}


def _carrier_from_dict(raw: dict[str, Any]) -> CarrierConfig:
    up, down = (int(raw[way]) if way in raw else None for way in ("up", "down"))
    return CarrierConfig(str(raw["name"]), up, down)


def _endpoint(text: str) -> str:
    endpoint.split(text)  # what only looks like an address must not be resolved as a name
    return text


def _peers_to_dict(peers: Iterable[PeerConfig]) -> dict[str, Any]:
    return {peer.name: _peer_to_dict(peer) for peer in peers}


def _peer_to_dict(peer: PeerConfig) -> dict[str, Any]:
    return {
        "publicKeys": [encode_key(key) for key in peer.public_keys],
        "allowedIPs": sorted(map(networktext.canonical, peer.allowed_ips)),
        "endpoint": peer.endpoint,
        "persistentKeepalive": peer.persistent_keepalive,
        **({} if peer.mtu is None else {"mtu": peer.mtu}),
        **({} if peer.probe is None else {"probe": peer.probe}),
        **({} if peer.expires is None else {"expires": peer.expires}),
        **({} if peer.access is None else {"access": peer.access}),
    }


def _reading_peers(described: dict[str, Any]) -> Work[tuple[PeerConfig, ...]]:
    """Each of them is what would be written of it."""
    peers = []
    for name, one in described.items():
        yield True
        peers.append(peer := _peer_from_dict(name, one))
        _same(canonical(_peer_to_dict(peer)), canonical(one))
    return tuple(peers)


def _peer_from_dict(name: str, raw: dict[str, Any]) -> PeerConfig:
    return PeerConfig(
        name=name,
        public_keys=tuple(decode_key(key) for key in raw["publicKeys"]),
        allowed_ips=tuple(raw["allowedIPs"]),
        endpoint=None if raw["endpoint"] is None else _endpoint(raw["endpoint"]),
        persistent_keepalive=int(raw["persistentKeepalive"]),
        mtu=None if raw.get("mtu") is None else int(raw["mtu"]),
        probe=str(ip_address(raw["probe"])) if "probe" in raw else None,
        expires=int(raw["expires"]) if "expires" in raw else None,
        access=int(raw["access"]) if "access" in raw else None,
    )
