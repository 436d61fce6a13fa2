"""A platform with nothing: neither Linux nor any other system. A test gives it the parts that it is about."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from wgnode.io.tun import Tun, TunOffloads


class FakePlatform:
    """Every part is missing but those given: `FakePlatform(routing=Watch)`."""

    now: Any = None
    set_clock: Any = None
    tun: Any = None
    limit_frames: Any = None
    sockets: Any = None
    routing: Any = None
    links: Any = None
    neighbours: Any = None
    layers: Any = None
    control: Any = None
    machine: Any = None

    def __init__(self, **parts: Any) -> None:
        for name, part in parts.items():
            if not hasattr(FakePlatform, name):
                raise AttributeError(f"no platform has a part {name!r}")
            setattr(self, name, part)


class SilentTun(Tun):
    """An interface that nothing comes out of."""

    def __init__(self) -> None:
        self.fd, self._other = os.pipe2(os.O_NONBLOCK)
        self.name, self.counters, self.offloads = "silent", Counter(), TunOffloads()

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._other)
