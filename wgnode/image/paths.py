"""Where the gateway's files are on a host. One gateway a host, so the names are fixed. Pure."""

from __future__ import annotations

USER = "wgnode"
STATE = "/var/lib/wgnode"
IMAGES = f"{STATE}/images"
GATEWAY = f"{STATE}/gateway"
CONFIG_LAYER = f"{GATEWAY}/config.cpio"
SECRETS_LAYER = f"{GATEWAY}/secrets.cpio"
PREVIOUS = f"{GATEWAY}/previous"
"""Layers and unit of the gateway that ran before, until a changed one is known to run."""
SEALED_BUNDLE = f"{GATEWAY}/bundle.sealed"
"""The site's bundle as the mesh published it, readable for the site's recipient key only; for `wgnode mesh recover`."""
HOSTD_DIRECTORY = f"{STATE}/hostd"
HOSTD_STATE = f"{STATE}/state"
RUN = "/run/wgnode"
INITRD = f"{RUN}/initrd"
TSC_ENVIRONMENT = f"{RUN}/tsc.env"
VHOST_ENVIRONMENT = f"{RUN}/vhost.env"
CONTROL_SOCKET = f"{RUN}/control.sock"
HOSTD_SOCKET = f"{RUN}/hostd.sock"
UAPI_SOCKET = f"{RUN}/uapi.sock"
UAPI_DIRECTORY = "/run/wireguard"
TRANSIT_TAP = "wgnode-wan"
LAN_TAP = "wgnode-lan"
TRANSIT_MAC = "52:54:00:77:67:00"
GATEWAY_UNIT = "wgnode-gateway.service"
HOSTD_UNIT = "wgnode-hostd.service"
NETWORK_UNIT = "wgnode-network.service"


def image_directory(sha256: str) -> str:
    return f"{IMAGES}/{sha256}"


def hostd_bundle(sha256: str) -> str:
    """The zipapp's place, by the SHA-256 (hex) of its bytes."""
    return f"{HOSTD_DIRECTORY}/{sha256[:16]}.pyz"
