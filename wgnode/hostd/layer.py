"""Which peers the gateway has, by the configuration layer on the host: a guest's word for a key is not taken."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from wgnode import endpoint
from wgnode.hostd.said import printable
from wgnode.image import layers
from wgnode.nodeconfig import NodeConfig, encode_key


class ConfigLayer:
    """The layer as it is now; read again when the file has changed. `warn` hears once why it can't be used."""

    def __init__(self, path: Callable[[], Path], warn: Callable[[str], None]) -> None:
        self.path, self.warn = path, warn
        self._seen: tuple[int, ...] | None = None
        self._trouble = ""
        self._config: NodeConfig | None = None

    def config(self) -> NodeConfig | None:
        """The same object while the file is the same; None while nobody knows any."""
        path = self.path()
        try:
            found = os.stat(path)
            seen = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
            if seen != self._seen:
                self._seen, self._config = seen, None
                self._config = layers.config_of(path.read_bytes())
                self._trouble = ""
        except (OSError, ValueError) as error:
            self._config = None
            self._tell(f"which peers there are is not known, so nothing of them is kept: {path}: {error}")
        return self._config

    def keys(self) -> frozenset[str] | None:
        """All public keys of its peers and devices (base64), None while nobody knows any."""
        config = self.config()
        if config is None:
            return None
        return frozenset(encode_key(key) for peer in config.everybody for key in peer.public_keys)

    def named(self) -> dict[str, str]:
        """Endpoints that are names, by the peer's current public key."""
        config = self.config()
        return {
            encode_key(peer.public_keys[0]): peer.endpoint
            for peer in (() if config is None else config.peers)
            if peer.public_keys and peer.endpoint is not None and not _literal(peer.endpoint)
        }

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self.warn(printable(trouble))


def _literal(text: str) -> bool:
    try:
        endpoint.literal(text)
    except ValueError:
        return False
    return True
