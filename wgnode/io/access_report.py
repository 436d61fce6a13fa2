"""What the access policy has denied, in words for other programs."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from wgnode.nodeconfig import encode_key
from wgnode.protocol.access import Denied
from wgnode.protocol.device import Device


def denied(found: Denied, now: float, wall: float) -> dict[str, Any]:
    """Nothing where nothing was. `at` is when it was found, in seconds since 1970; `now` and `wall` are one moment."""
    if not found.packets:
        return {}
    listed = [
        {
            "outgoing": outgoing,
            "rule": rule,
            "source": _address(source),
            "destination": _address(destination),
            "protocol": protocol,
            "port": port,
            "packets": told.packets,
            "at": round(wall - (now - told.at), 3),
        }
        for (outgoing, rule, source, destination, protocol, port), told in found.told.items()
    ]
    return {"denied": found.packets, "denials": listed}


def device_denials(device: Device, now: float, wall: float) -> dict[str, Any]:
    """Of all peers of whom something was, by public key, and the flow table's figures."""
    device.access.collect(now)
    peers = {encode_key(peer.public_key): denied(device.access.denied(peer), now, wall) for peer in device.peers}
    return {"flows": device.access.flows._asdict(), "peers": {key: one for key, one in peers.items() if one}}


def _address(packed: bytes) -> str:
    return str(ip_address(packed)) if packed else ""
