"""What must outlive the guest: each peer's last handshake and where it was then. One small JSON file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FORMAT = 1
FILE = "peers.json"


def of_health(health: dict[str, Any]) -> dict[str, Any]:
    """By public key: endpoint, and last handshake in seconds since 1970. Peers that were never met are left out."""
    return {
        peer["public_key"]: {"endpoint": peer["endpoint"], "last_handshake": peer["last_handshake"]}
        for peer in health.get("peers", [])
        if peer["last_handshake"] is not None
    }


class StateFile:
    """Written only when it changes; a crash leaves the old or the new one."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / FILE
        self.peers = self._read()

    def update(self, peers: dict[str, Any]) -> None:
        """Merge: a peer that the guest does not know any more is kept. Raises OSError."""
        news = {key: peer for key, peer in peers.items() if not _same(self.peers.get(key), peer)}
        if not news:
            return
        merged = {**self.peers, **news}
        new = self.file.with_suffix(".new")
        with open(new, "w") as stream:
            json.dump({"format": FORMAT, "peers": merged}, stream, sort_keys=True)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, self.file)
        self.peers = merged

    def _read(self) -> dict[str, Any]:
        """A file that can't be used counts as none: it only saves time."""
        try:
            content = json.loads(self.file.read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            return {}
        peers = content.get("peers")
        return peers if isinstance(peers, dict) else {}


def _same(kept: Any, peer: dict[str, Any]) -> bool:
    """A handshake's time is told from two clocks of the guest, so it wavers by some milliseconds."""
    return (
        isinstance(kept, dict)
        and kept.get("endpoint") == peer["endpoint"]
        and abs(kept.get("last_handshake", 0) - peer["last_handshake"]) < 1
    )
