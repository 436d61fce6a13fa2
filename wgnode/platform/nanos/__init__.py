"""Nanos, a unikernel that runs one Linux program: what it has of a platform. Experimental.

What differs from Linux, with the place in Nanos' source for each: docs/decisions/nanos.md. Where a comment here names a
file, it is of github.com/nanovms/nanos or nanovms/lwip.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from wgnode.io.loop import Loop
from wgnode.io.tun import Tun, TunOffloads
from wgnode.nanos.words import Environment
from wgnode.platform import Line, OpenControl
from wgnode.platform.nanos.control import Tcp, open_tcp
from wgnode.platform.nanos.links import Cards
from wgnode.platform.nanos.machine import Clock, Only
from wgnode.platform.nanos.shared import Shared
from wgnode.platform.nanos.sockets import ReadBack


class Unikernel:
    """A whole virtual machine, for one node. `environment` is what the image's manifest gave the program.

    Raises ValueError for an environment that no manifest of ours has.
    """

    now = None
    limit_frames = None
    routing = None
    neighbours = None

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        told = Environment.read(environment)
        self.set_clock = Clock().set
        self.sockets = ReadBack()
        self.links = Cards(told, lambda: self._tun)
        self.layers = Shared(told.share)
        self.control: OpenControl = self._open_control
        self.machine = Only(self.sockets)
        self.line: Tcp | None = None
        self._told = told
        self._tun: Tun | None = None

    def tun(self, name: str, mtu: int, wanted: TunOffloads) -> Tun:
        """Without header and offloads, whatever is wanted: klib/tun.c takes IFF_NO_PI alone (else EINVAL)."""
        self._tun = Tun(name, mtu)
        return self._tun

    def _open_control(self, loop: Loop, on_body: Callable[[bytes], None], on_open: Callable[[], None]) -> Line:
        self.line = open_tcp(loop, self._told.control, self._told.hosts, on_body, on_open)
        return self.line
