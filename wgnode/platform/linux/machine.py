"""The gateway's own machine: everything that Linux has, since nobody else administers it."""

from __future__ import annotations

from wgnode.io.clock import boottime
from wgnode.io.tun import Tun
from wgnode.platform import Confinement, Warn
from wgnode.platform.linux import system
from wgnode.platform.linux.baked import Baked
from wgnode.platform.linux.confine import confine
from wgnode.platform.linux.frames import limit_frames
from wgnode.platform.linux.neighbours import Neighbours
from wgnode.platform.linux.network import Network
from wgnode.platform.linux.port import VirtioPort
from wgnode.platform.linux.process import forbid_core_dumps
from wgnode.platform.linux.routing import RoutingWatch
from wgnode.platform.linux.sockets import Options
from wgnode.platform.linux.watchdog import Watchdog


class Init:
    """Process 1 and its kernel."""

    def __init__(self) -> None:
        self._watchdog: Watchdog | None = None

    def boot(self, warn: Warn) -> None:
        system.mount_file_systems()
        forbid_core_dumps()
        system.load_modules()
        system.apply_settings(warn)

    def ready(self, warn: Warn) -> Confinement:
        self._watchdog = Watchdog(warn)
        return confine(warn)

    def alive(self) -> None:
        if self._watchdog is not None:
            self._watchdog.feed()

    def end(self) -> None:
        system.give_up()


class Microvm:
    """A whole virtual machine, for one node."""

    now = staticmethod(boottime)
    set_clock = staticmethod(system.set_clock)
    tun = Tun
    limit_frames = staticmethod(limit_frames)
    sockets = Options()
    routing = RoutingWatch
    control = VirtioPort
    neighbours = Neighbours

    def __init__(self) -> None:
        self.links = Network()
        self.layers = Baked()
        self.machine = Init()
