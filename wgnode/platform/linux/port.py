"""The control channel over a virtio-serial port (virtio 1.2, 5.3; /sys/class/virtio-ports of the kernel's driver)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from wgnode.io.control import Channel, Message
from wgnode.io.loop import Loop

PORT_NAME = "org.wgnode.control"
PORTS = Path("/sys/class/virtio-ports")
PORT_RETRY = 0.05
"""Seconds until a port that the kernel has not found yet is looked for again."""


class VirtioPort:
    """Opens the port when it appears, and keeps it: hosts come and go at its other end."""

    def __init__(self, loop: Loop, on_body: Callable[[bytes], None], on_open: Callable[[], None]) -> None:
        self._loop, self._on_body, self._on_open = loop, on_body, on_open
        self._channel: Channel[bytes] | None = None
        self._find()

    def send(self, message: Message) -> bool:
        return self._channel is not None and self._channel.send(message)

    def listen(self, wanted: bool) -> None:
        if self._channel is not None:
            (self._channel.read_on if wanted else self._channel.rest)()

    def _find(self) -> None:
        device = find_port()
        if device is None:
            self._loop.call_later(PORT_RETRY, self._find)
            return
        descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._channel = Channel(
            self._loop, descriptor, self._on_body, read=bytes, persistent=True, on_open=self._opened
        )

    def _opened(self) -> None:
        # The channel calls this while it is made: tell of it only after our attribute is set.
        self._loop.call_later(0, self._on_open)


def find_port(directory: Path = PORTS, name: str = PORT_NAME) -> Path | None:
    """The device node of the virtio-serial port of this name, None while the kernel has not found it."""
    for entry in sorted(directory.glob("*/name")):
        if entry.read_text().strip() == name:
            device = Path("/dev") / entry.parent.name
            return device if device.exists() else None
    return None
