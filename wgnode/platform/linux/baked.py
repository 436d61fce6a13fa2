"""Read what the gateway was booted with: its configuration, its secrets, and which image this is."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from wgnode.nodeconfig import ConfigError, NodeConfig, NodeSecrets

DIRECTORY = Path("/etc/wgnode")
SECRETS = "secrets.json"


class Baked:
    """The layers of the initial file system, which is memory."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self.directory = directory

    def config(self) -> NodeConfig:
        return read_config(self.directory)

    def secrets(self) -> NodeSecrets:
        return take_secrets(self.directory)

    def image(self) -> dict[str, Any]:
        return read_image(self.directory)


def read_config(directory: Path) -> NodeConfig:
    """Raises ConfigError for a layer that is missing, cut off, corrupt or of another format."""
    return NodeConfig.from_json(_read(directory / "config.json", "node configuration"))


def take_secrets(directory: Path) -> NodeSecrets:
    """Read the secrets, then overwrite and remove the file. Raises ConfigError, which never quotes them."""
    try:
        return read_secrets(directory)
    finally:
        with contextlib.suppress(FileNotFoundError):
            wipe(directory / SECRETS)


def read_secrets(directory: Path) -> NodeSecrets:
    """Raises ConfigError, which never quotes them."""
    return NodeSecrets.from_json(_read(directory / SECRETS, "node secrets"))


def wipe(file: Path) -> None:
    """Overwrite in place (the root file system is memory) and remove."""
    with open(file, "r+b") as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.write(bytes(size))
    file.unlink()


def read_image(directory: Path) -> dict[str, Any]:
    """The image's description of itself, {} when there is none."""
    try:
        described = json.loads((directory / "image.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return described if isinstance(described, dict) else {}


def _read(file: Path, what: str) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{what}: {file} is not there, so its layer is missing, cut off or corrupt") from None
