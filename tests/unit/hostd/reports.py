"""What a gateway reports when all is well, to be bent by tests."""

from __future__ import annotations

from typing import Any

NOW = 1_700_000_000 * 10**9
"""Nanoseconds since 1970 by the host's clock."""


def peer(key: str) -> dict[str, Any]:
    """One peer, five seconds after a handshake."""
    return {
        "name": "cabin",
        "public_key": key,
        "public_keys": [key],
        "preshared_keys": ["ab" * 32],
        "endpoint": "203.0.113.2:51820",
        "allowed_ips": ["10.2.0.0/24", "fd00::/64"],
        "last_handshake": NOW / 1e9 - 5,
        "rx_bytes": 1,
        "tx_bytes": 2,
        "persistent_keepalive": 25,
        "path_mtu": {
            "size": 1440,
            "evidence": "probe",
            "since": NOW / 1e9 - 60,
            "family": 4,
            "own": "192.0.2.1",
            "state": "search_complete",
            "history": [{"size": 1280, "evidence": "unknown", "since": NOW / 1e9 - 61}],
        },
    }
