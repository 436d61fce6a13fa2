"""What must outlive the guest: the newest time stamp, and when and where each peer was last. One small JSON file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FORMAT = 1
FILE = "peers.json"
UNSEEN = 2 * 10**9
"""Nanoseconds of time stamps that a guest may use between its last heartbeat and its end."""
UNSAVED = 40 * 10**9
"""The same between the last time the file was written (at most 30 s) and the end of hostd or of the host."""


def of_health(health: dict[str, Any]) -> dict[str, Any]:
    """By public key: endpoint, and last handshake in seconds since 1970. Peers that were never met are left out."""
    return {
        peer["public_key"]: {"endpoint": peer["endpoint"], "last_handshake": peer["last_handshake"]}
        for peer in health.get("peers", [])
        if peer["last_handshake"] is not None
    }


class StateFile:
    """Written only when it changes; a crash leaves the old or the new one.

    `tai64n` is the newest time stamp that any guest is known to have used, in nanoseconds since 1970.
    """

    def __init__(self, directory: Path) -> None:
        self.file = directory / FILE
        content = self._read()
        self.peers: dict[str, Any] = content["peers"]
        self.tai64n: int = content["tai64n"]
        self._saved = self.tai64n
        self._heard = False

    @property
    def floor(self) -> int:
        """Below this, the next guest's time stamps might repeat one of its predecessor's. 0: nothing is known."""
        return self.tai64n + (UNSEEN if self._heard else UNSAVED) if self.tai64n else 0

    def stamped(self, tai64n: int) -> None:
        """A guest has used this time stamp; kept in memory until the next `update`."""
        self._heard = True
        self.tai64n = max(self.tai64n, tai64n)

    def update(self, peers: dict[str, Any]) -> None:
        """Merge: a peer that the guest does not know any more is kept. Raises OSError."""
        news = {key: peer for key, peer in peers.items() if not _same(self.peers.get(key), peer)}
        if not news and self.tai64n == self._saved:
            return
        merged = {**self.peers, **news}
        new = self.file.with_suffix(".new")
        with open(new, "w") as stream:
            json.dump({"format": FORMAT, "peers": merged, "tai64n": self.tai64n}, stream, sort_keys=True)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, self.file)
        self.peers, self._saved = merged, self.tai64n

    def _read(self) -> dict[str, Any]:
        """A file that can't be used counts as none: without it the clock alone keeps time stamps growing."""
        try:
            content = json.loads(self.file.read_bytes())
        except (OSError, ValueError):
            content = None
        known = content if isinstance(content, dict) and content.get("format") == FORMAT else {}
        peers, tai64n = known.get("peers"), known.get("tai64n")
        return {
            "peers": peers if isinstance(peers, dict) else {},
            "tai64n": tai64n if isinstance(tai64n, int) else 0,
        }


def _same(kept: Any, peer: dict[str, Any]) -> bool:
    """A handshake's time is told from two clocks of the guest, so it wavers by some milliseconds."""
    return (
        isinstance(kept, dict)
        and kept.get("endpoint") == peer["endpoint"]
        and abs(kept.get("last_handshake", 0) - peer["last_handshake"]) < 1
    )
