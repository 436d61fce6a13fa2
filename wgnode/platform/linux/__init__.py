"""Linux: what an ordinary process has of it. The gateway's machine has more (machine.py)."""

from __future__ import annotations

from wgnode.io.clock import boottime
from wgnode.io.tun import Tun
from wgnode.platform.linux.frames import limit_frames
from wgnode.platform.linux.routing import RoutingWatch
from wgnode.platform.linux.sockets import Options


class Process:
    """A node beside others: whoever administers the machine gives it links and a clock."""

    now = staticmethod(boottime)
    set_clock = None
    tun = Tun
    limit_frames = staticmethod(limit_frames)
    sockets = Options()
    routing = RoutingWatch
    links = None
    neighbours = None
    layers = None
    control = None
    machine = None
