"""What the host shares with the node by 9P: its configuration and its secrets. Read, and left there.

They are the host's files, not ours to wipe: the next start needs them. The share is no part of the image, which has no
secret.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wgnode.nodeconfig import ConfigError, NodeConfig, NodeSecrets

CONFIG, SECRETS = "config.json", "secrets.json"
DESCRIPTION = Path("/etc/wgnode/image.json")


class Shared:
    """`description` is the image's own."""

    def __init__(self, share: str, description: Path = DESCRIPTION) -> None:
        self._share, self._description = Path(share), description

    def config(self) -> NodeConfig:
        return NodeConfig.from_json(self._read(CONFIG, "node configuration"))

    def secrets(self) -> NodeSecrets:
        return NodeSecrets.from_json(self._read(SECRETS, "node secrets"))

    def image(self) -> dict[str, Any]:
        try:
            described = json.loads(self._description.read_bytes())
        except (OSError, ValueError):
            return {}
        return described if isinstance(described, dict) else {}

    def _read(self, name: str, what: str) -> bytes:
        file = self._share / name
        try:
            return file.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"{what}: {file} on the 9P share: {error.strerror}; QEMU's user has to be able to read and write it,"
                " because Nanos opens it for both"
            ) from None
