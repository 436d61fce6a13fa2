"""A platform with nothing: neither Linux nor any other system. A test gives it the parts that it is about."""

from __future__ import annotations

from typing import Any


class FakePlatform:
    """Every part is missing but those given: `FakePlatform(routing=Watch)`."""

    now: Any = None
    set_clock: Any = None
    tun: Any = None
    limit_frames: Any = None
    sockets: Any = None
    routing: Any = None
    links: Any = None
    layers: Any = None
    control: Any = None
    machine: Any = None

    def __init__(self, **parts: Any) -> None:
        for name, part in parts.items():
            if not hasattr(FakePlatform, name):
                raise AttributeError(f"no platform has a part {name!r}")
            setattr(self, name, part)
