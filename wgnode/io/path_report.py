"""What is told of a device's ways to its peers: by a gateway in its health, by `wgnode device` at a socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wgnode.io.paths import Paths
from wgnode.io.way_told import Report
from wgnode.nodeconfig import encode_key
from wgnode.pathmtu.known import Evidence, Known
from wgnode.protocol.device import Device
from wgnode.protocol.peer import Peer


def path_mtu(paths: Paths | None, peer: Peer, now: float, wall: float) -> dict[str, Any] | None:
    """Of our direction to a peer; None where nothing is searched, and before the first session.

    `size`: wire bytes that the way carries, or what is assumed; `evidence`: probe, hint, profile, memory, unknown;
    `since`, and those of `history` (oldest first): seconds since 1970; `family`: 4 or 6, outside; `own`: our outer
    address, None where the routing table chooses; `inner`: the largest packet that goes as one; `state`: RFC 8899's;
    `why`: what began the search anew (endpoint, family, route, key, asked); `unmeasured`: why nothing is searched;
    `spent`: bytes of all probes; `round_trip`: seconds, smoothed, None before the first answer; `small_sent` and
    `small_answered`: probes of the smallest size, which are lost for no reason of size; `back`: what was shown of the
    way here, at least, None where nobody asked (`size`, `evidence`: echo, `since`).
    """
    way = None if paths is None else paths.way(peer)
    report = None if way is None else way.report()
    return None if report is None else _told(report, wall - now)


def device_paths(device: Device, paths: Paths | None, now: float, wall: float) -> dict[str, Any]:
    """Of all peers; `fitted`: packets by what was done about sizes; `searching`: whether this node does at all."""
    peers = [
        {
            "public_key": encode_key(peer.public_key),
            "endpoint": None if peer.endpoint is None else str(peer.endpoint),
            "last_handshake": None if peer.last_handshake is None else round(wall - (now - peer.last_handshake), 3),
            "path_mtu": path_mtu(paths, peer, now, wall),
        }
        for peer in device.peers
    ]
    return {"format": 1, "searching": paths is not None, "fitted": fitted(device), "peers": peers}


def fitted(device: Device) -> Mapping[str, int]:
    """Packets by plane.Fit."""
    return {str(kind): number for kind, number in device.plane.fitted.items()}


def _told(report: Report, epoch: float) -> dict[str, Any]:
    return {
        **_known(report.known, epoch),
        "family": report.family,
        "own": report.own or None,
        "inner": report.inner,
        "state": report.state,
        "why": report.why,
        "unmeasured": report.unmeasured,
        "spent": report.spent,
        "round_trip": None if report.round_trip is None else round(report.round_trip, 6),
        "small_sent": report.small[0],
        "small_answered": report.small[1],
        "back": None
        if report.back is None
        else _known(Known(report.back.size, Evidence.ECHO, report.back.since), epoch),
        "history": [_known(former, epoch) for former in report.former],
    }


def _known(known: Known, epoch: float) -> dict[str, Any]:
    """`epoch` is the wall clock's time when the shell's was 0."""
    return {"size": known.size, "evidence": known.evidence.value, "since": round(epoch + known.since, 3)}
