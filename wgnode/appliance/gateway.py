"""The gateway: links, tunnel and node as the baked configuration says, and what it answers about itself."""

from __future__ import annotations

import os
import sys
import time
import traceback
from typing import Any

from wgnode.appliance import baked, network
from wgnode.appliance.health import device_health
from wgnode.appliance.log import Log
from wgnode.io.loop import Loop
from wgnode.io.node import from_config, literal_endpoint
from wgnode.io.shell import Shell
from wgnode.io.tun import Tun
from wgnode.nodeconfig import NodeConfig, encode_key

EIO_REPLY = "errno=-5\n\n"
"""UAPI's answer while no node runs."""


class TunnelGone(Exception):
    """The TUN interface disappeared under the node; only a new start helps."""


class Gateway:
    """`error` says why no node runs; the gateway then only answers the host."""

    def __init__(self, loop: Loop, log: Log) -> None:
        self.loop, self.log = loop, log
        self.config: NodeConfig | None = None
        self.shell: Shell | None = None
        self.error: str | None = None
        self.image = baked.read_image()

    def start(self) -> None:
        """Load, configure, run. What goes wrong is told in `error` and in the log, not raised."""
        try:
            self.config = baked.read_config()
            secrets = baked.take_secrets()
            network.configure_masquerade(self.config)
            network.configure_links(self.config)
            device = from_config(self.config, secrets, self.loop.now())
            tun = Tun(self.config.interface, self.config.mtu)
            for skipped in network.configure_tunnel(self.config):
                self.log.warning(f"no route to {skipped} through the tunnel: it would carry the tunnel's own datagrams")
            self.shell = Shell(self.loop, device, tun, on_gone=_tunnel_gone, log=self.log.warning)
            self.shell.start()
        except Exception as error:
            self.shell = None
            expected = isinstance(error, OSError | ValueError)
            self.error = str(error) if expected else f"{type(error).__name__}: {error}"
            self.log.error(f"the node does not run: {self.error}")
            if not expected:
                traceback.print_exc()
        else:
            self.log.info(
                f"{self.config.mesh}/{self.config.name} up, port {device.listen_port}, {len(device.peers)} peers"
            )

    def uapi(self, text: str) -> str:
        return EIO_REPLY if self.shell is None else self.shell.uapi(text)

    def hello(self) -> dict[str, Any]:
        """`endpoints` are those given as names, by peer: the host resolves them and sets them by UAPI."""
        peers = () if self.config is None or self.shell is None else self.config.peers
        named = {
            encode_key(peer.public_keys[0]): peer.endpoint
            for peer in peers
            if peer.endpoint is not None and literal_endpoint(peer.endpoint) is None
        }
        return {**self._identity(), "endpoints": named}

    def health(self) -> dict[str, Any]:
        described = {
            **self._identity(),
            "uptime": round(time.clock_gettime(time.CLOCK_BOOTTIME), 3),
            "time": round(time.time(), 3),
            "python": ".".join(map(str, sys.version_info[:3])),
            "kernel": os.uname().release,
            "pid1": {"pid": os.getpid(), "exe": os.readlink("/proc/1/exe"), "argv": sys.orig_argv},
            "image": self.image.get("inputs"),
            "live": None,
            "peers": [],
            "counters": {},
        }
        if self.shell is not None:
            described |= device_health(self.shell.device, self.loop.now(), time.time())
            described["counters"] = dict(self.shell.counters)
        return described

    def _identity(self) -> dict[str, Any]:
        config = self.config
        return {
            "format": 1,
            "mesh": None if config is None else config.mesh,
            "name": None if config is None else config.name,
            "loaded": None if config is None else config.digest,
            "version": self.image.get("version"),
            "error": self.error,
        }


def _tunnel_gone() -> None:
    raise TunnelGone("the tunnel interface is gone")
