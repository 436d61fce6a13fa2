"""A gateway without a machine of its own: a service in a network namespace, on a kernel that it shares with its host.

What process 1 does to its kernel is not its to do: systemd has given it its root, and taken away what it may not have.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

from wgnode.io.clock import boottime
from wgnode.io.loop import Loop
from wgnode.io.netlink import Rtnetlink
from wgnode.io.tun import Tun
from wgnode.nodeconfig import NodeConfig, NodeSecrets
from wgnode.platform import Confinement, Warn
from wgnode.platform.linux import capabilities, confine, seccomp, sysctl, system
from wgnode.platform.linux.baked import DIRECTORY, Baked, read_secrets
from wgnode.platform.linux.confine import Measure, status
from wgnode.platform.linux.control_socket import SocketLine, listen
from wgnode.platform.linux.frames import limit_frames
from wgnode.platform.linux.neighbours import Neighbours
from wgnode.platform.linux.network import Network
from wgnode.platform.linux.process import forbid_core_dumps
from wgnode.platform.linux.routing import RoutingWatch
from wgnode.platform.linux.sockets import Options

CONTROL = "control.sock"
"""In the unit's RuntimeDirectory= (systemd.exec(5)), which its environment names."""
KEPT = (capabilities.NET_BIND_SERVICE, capabilities.NET_ADMIN, capabilities.NET_RAW)
NAMESPACED = ("net/ipv4/", "net/ipv6/")
"""Of the settings of a gateway's kernel, those that each network namespace has for itself."""
_MASK = f"{capabilities.mask(KEPT):016x}"


class Service:
    """Ends as a process does: systemd starts a new one."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.listener: socket.socket | None = None

    def boot(self, warn: Warn) -> None:
        """The socket is made now: once confined, the node makes none of its kind."""
        forbid_core_dumps()
        for key, value in system.SETTINGS.items():
            if key.startswith(NAMESPACED):
                try:
                    sysctl.write_sysctl(key, value)
                except OSError as error:
                    warn(f"setting {key}: {error.strerror}")
        self.listener = listen(Path(self.directory, CONTROL))

    def ready(self, warn: Warn) -> Confinement:
        return confine.confine(warn, MEASURES)

    def alive(self) -> None:
        """hostd hears it, and feeds systemd's watchdog by it."""

    def end(self) -> None:
        with contextlib.suppress(OSError):  # nobody reads the console
            os.write(1, b"wgnode: the node ended\n")
        os._exit(1)


class Cards(Network):
    """Of a namespace that outlives the process: what one before gave the cards goes first."""

    def prepare(self, config: NodeConfig) -> None:
        with Rtnetlink() as kernel:
            for card in (config.transit, config.lan):
                index = kernel.link_by_mac(card.mac).index
                kernel.set_link(index, up=False)  # with its routes and IPv6 addresses
                for address in kernel.addresses(index):
                    kernel.delete_address(index, address)
        super().prepare(config)


class Layers(Baked):
    """Unpacked at each start by root, beside an image that the node can't write to."""

    def secrets(self) -> NodeSecrets:
        return read_secrets(self.directory)


class Hosted:
    """The clock is its host's: there is nothing to set."""

    now = staticmethod(boottime)
    set_clock = None
    tun = Tun
    limit_frames = staticmethod(limit_frames)
    sockets = Options()
    routing = RoutingWatch
    neighbours = Neighbours

    def __init__(self, directory: str) -> None:
        self.links = Cards()
        self.layers = Layers(DIRECTORY)
        self.machine = Service(directory)

    def control(self, loop: Loop, on_body: Callable[[bytes], None], on_open: Callable[[], None]) -> SocketLine:
        assert self.machine.listener is not None, "it has booted"
        return SocketLine(self.machine.listener, loop, on_body, on_open)


def _nothing() -> None: ...


class Filter:
    """Of system calls, ours, beside those of systemd: the kernel tells how many there are (proc_pid_status(5))."""

    def __init__(self) -> None:
        self._before: int | None = None

    def install(self) -> None:
        self._before = _filters()
        seccomp.install(seccomp.program(calls=(*seccomp.CALLS, *seccomp.OF_A_LISTENER)))

    def read(self) -> str:
        ours = self._before is not None and _filters() > self._before
        return status("Seccomp")() if ours else "not ours"


def _filters() -> int:
    return int(status("Seccomp_filters")())


_FILTER = Filter()
MEASURES = (
    Measure("threads", _nothing, confine.threads, "1"),
    Measure("capabilities", _nothing, status("CapPrm", "CapEff", "CapBnd"), _MASK),
    Measure("no-new-privileges", capabilities.no_new_privileges, status("NoNewPrivs"), "1"),
    Measure("seccomp", _FILTER.install, _FILTER.read, "2"),
)
"""As a machine's (confine.py), without those of its kernel, which are its host's. Capabilities are systemd's doing, and
read back."""
