"""What a gateway tells about itself. Public keys, times and hashes of pre-shared keys; never a secret."""

from __future__ import annotations

import hashlib
from typing import Any

from wgnode.io.access_report import denied
from wgnode.io.node import LiveDigest
from wgnode.io.path_report import path_mtu
from wgnode.io.paths import Paths
from wgnode.nodeconfig import encode_key
from wgnode.protocol.device import Device
from wgnode.protocol.peer import Peer
from wgnode.work import Work

WITH_HISTORY = 1000
"""Peers: of more a report that a host takes has no room for what their paths were before."""


def peer_health(
    device: Device, peer: Peer, now: float, wall: float, paths: Paths | None, *, history: bool
) -> dict[str, Any]:
    """`last_handshake` is seconds since 1970, None before the first. `now` and `wall` are the same moment. `path_mtu`:
    see path_report.path_mtu; where `history` is asked for, with that."""
    handshake = None if peer.last_handshake is None else round(wall - (now - peer.last_handshake), 3)
    path = path_mtu(paths, peer, now, wall)
    if path is not None and not history:
        path["history"] = []
    return {
        "name": peer.name,
        "public_key": encode_key(peer.public_keys[0]),
        "public_keys": [encode_key(key) for key in peer.public_keys],
        "preshared_keys": [hashlib.sha256(key).hexdigest() for key in peer.preshared_keys],
        "endpoint": None if peer.endpoint is None else str(peer.endpoint),
        "allowed_ips": networks.split(",") if (networks := device.networks_text(peer)) else [],
        "last_handshake": handshake,
        "rx_bytes": peer.rx_bytes,
        "tx_bytes": peer.tx_bytes,
        "rx_packets": peer.rx_packets,
        "tx_packets": peer.tx_packets,
        "sessions": peer.sessions,
        "serial": peer.serial,
        "persistent_keepalive": peer.persistent_keepalive,
        "path_mtu": path,
        **({"closed": True} if peer.closed else {}),
        **denied(device.access.denied(peer), now, wall),
    }


def device_health(
    device: Device, live: LiveDigest, now: float, wall: float, paths: Paths | None = None
) -> Work[dict[str, Any]]:
    """`live` gives the digest of the configuration that the device has now. A step a peer."""
    device.access.collect(now)
    peers, all_of_them = [], device.peers
    for peer in all_of_them:
        yield True
        live.look(peer)
        peers.append(peer_health(device, peer, now, wall, paths, history=len(all_of_them) <= WITH_HISTORY))
    return {
        "live": live(),
        "public_key": encode_key(device.public_keys[0]) if device.public_keys else None,
        "public_keys": [encode_key(key) for key in device.public_keys],
        "listen_port": device.listen_port,
        "fwmark": device.fwmark,
        "peers": peers,
        "flows": device.access.flows._asdict(),
    }
