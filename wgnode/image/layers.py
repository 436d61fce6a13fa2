"""The parts of the initial file system that are a gateway's own: its configuration, and its secrets apart. Pure.

The kernel unpacks the image's part first and these after it, each an uncompressed cpio of a length that is a
multiple of 512, so the three can simply be concatenated.
"""

from __future__ import annotations

from wgnode.image import cpio
from wgnode.nodeconfig import NodeConfig, NodeSecrets

CONFIG_PATH = "etc/wgnode/config.json"
SECRETS_PATH = "etc/wgnode/secrets.json"


def config_layer(config: NodeConfig) -> bytes:
    """World-readable part: the canonical configuration, byte for byte."""
    return cpio.pack({CONFIG_PATH: cpio.file(config.to_json())})


def secrets_layer(secrets: NodeSecrets) -> bytes:
    """The part that only QEMU's user may read. Nothing else than this file may ever hold it."""
    return cpio.pack({SECRETS_PATH: cpio.file(secrets.to_json(), 0o600)})


def config_of(layer: bytes) -> NodeConfig:
    """The configuration in a layer. Raises ValueError (CpioError, ConfigError)."""
    return NodeConfig.from_json(config_json(layer))


def config_json(layer: bytes) -> bytes:
    """As it stands there, unread. Raises CpioError."""
    return _member(layer, CONFIG_PATH)


def secrets_of(layer: bytes) -> NodeSecrets:
    """The secrets in a layer. Raises ValueError, whose text never quotes them."""
    return NodeSecrets.from_json(_member(layer, SECRETS_PATH))


def _member(layer: bytes, wanted: str) -> bytes:
    for path, entry in cpio.unpack(layer):
        if path == wanted:
            return entry.data
    raise cpio.CpioError(f"no {wanted} in the layer")
