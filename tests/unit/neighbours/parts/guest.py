"""A gateway of this version, without its machine: `guest.py FOLDER DESCRIPTOR PLANE`.

Its layers are in FOLDER, where hostd has them, and it is called there by control.sock, as QEMU shows a guest's port.
What its interface carries comes and goes by the socket DESCRIPTOR, a packet each.
"""

from __future__ import annotations

import os
import socket
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wgnode.appliance.serve import serve
from wgnode.image import layers
from wgnode.io.accept import Acceptor
from wgnode.io.control import Channel, Message
from wgnode.io.loop import Loop
from wgnode.io.tun import Tun, TunOffloads
from wgnode.nodeconfig import NodeConfig, NodeSecrets
from wgnode.platform.linux import Process


class Baked:
    """The layers that hostd knows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def config(self) -> NodeConfig:
        return layers.config_of((self.folder / "config.cpio").read_bytes())

    def secrets(self) -> NodeSecrets:
        return layers.secrets_of((self.folder / "secrets.cpio").read_bytes())

    def image(self) -> dict[str, Any]:
        return {"version": "0"}


class Interface(Tun):
    """One that the test has the other end of."""

    def __init__(self, name: str, mtu: int, offloads: TunOffloads) -> None:
        self.fd, self.name = int(sys.argv[2]), name
        self.offloads, self.counters = TunOffloads(), Counter()
        os.set_blocking(self.fd, False)


class Port:
    """Whoever comes is the host; another one takes its place."""

    def __init__(self, loop: Loop, heard: Callable[[bytes], None], came: Callable[[], None]) -> None:
        self.loop, self.heard, self.came = loop, heard, came
        self.host: socket.socket | None = None
        self.channel: Channel[bytes] | None = None
        path = Path(sys.argv[1], "control.sock")
        path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        Acceptor(loop, self.listener, self._accepted)

    def _accepted(self, host: socket.socket) -> None:
        if self.channel is not None:
            self.channel.close()
        self.host = host
        self.channel = Channel(self.loop, host.fileno(), self.heard, read=bytes)
        self.loop.call_later(0, self.came)

    def send(self, message: Message) -> bool:
        return self.channel is not None and self.channel.send(message)

    def listen(self, wanted: bool) -> None:
        if self.channel is not None:
            (self.channel.read_on if wanted else self.channel.rest)()


class Platform(Process):
    """A process with an interface and a host."""

    limit_frames = routing = None
    tun = Interface
    control = Port
    layers = Baked(Path(sys.argv[1]))


if __name__ == "__main__":
    os.environ["WGNODE_DATAPLANE"] = sys.argv[3]
    serve(Platform())
