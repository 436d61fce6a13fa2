"""The gateway's end of the control channel: answers the host, and tells it what happens here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from wgnode.appliance.log import Log
from wgnode.appliance.system import set_clock
from wgnode.io.control import Channel, FrameError, Message
from wgnode.io.loop import Loop

PORT_NAME = "org.wgnode.control"
PORTS = Path("/sys/class/virtio-ports")
HEARTBEAT = 1.0
"""Seconds between signs of life."""
PORT_RETRY = 0.05
PATIENCE = 2.0
"""Seconds that the node waits for what the host remembers of its predecessor, before it starts without."""
LARGEST_CORRECTION = 1.0
"""Seconds; a step of the clock beyond this is worth a line in the log."""


class Answers(Protocol):
    """Who knows the answers (the gateway)."""

    def uapi(self, text: str) -> str: ...

    def health(self) -> dict[str, Any]: ...

    def hello(self) -> dict[str, Any]: ...

    def heartbeat(self) -> dict[str, Any]: ...

    def begin(self, floor: int = 0, endpoints: Mapping[str, str] | None = None) -> None: ...

    def configure(self, config: str, secrets: str) -> dict[str, Any]: ...


class Control:
    """Opens the virtio-serial port when it appears; `beat` is called with every sign of life."""

    def __init__(self, loop: Loop, log: Log, answers: Answers, beat: Callable[[], None]) -> None:
        self.loop, self.log, self.answers, self.beat = loop, log, answers, beat
        self.channel: Channel[Message] | None = None
        self._find_port()
        self._heartbeat()
        loop.call_later(PATIENCE, lambda: self._resume({}))

    def _find_port(self) -> None:
        device = find_port()
        if device is None:
            self.loop.call_later(PORT_RETRY, self._find_port)
            return
        descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.channel = Channel(self.loop, descriptor, self._received, persistent=True, on_open=self._opened)

    def _opened(self) -> None:
        # The channel calls this while it is made: tell the host only after our attribute is set.
        self.loop.call_later(0, self._greet)

    def _greet(self) -> None:
        self._send({"type": "hello", **self.answers.hello()})
        self.log.sink = self._send_log
        self.log.drain()

    def _send_log(self, level: str, text: str) -> bool:
        return self._send({"type": "log", "level": level, "text": text})

    def _send(self, message: Message) -> bool:
        return self.channel is not None and self.channel.send(message)

    def _heartbeat(self) -> None:
        self.beat()
        self._send({"type": "heartbeat", **self.answers.heartbeat()})
        self.loop.call_later(HEARTBEAT, self._heartbeat)

    def _received(self, message: Message) -> None:
        """Messages that this version doesn't know are ignored: a newer host may send them."""
        kind = message["type"]
        if kind == "time":
            self._set_clock(message)
        elif kind == "resume":
            self._resume(message)
        elif kind == "hello":
            self._greet()
        elif kind == "uapi" and isinstance(message.get("text"), str):
            self._reply(message, {"text": self.answers.uapi(message["text"])})
        elif kind == "configure" and isinstance(message.get("config"), str):
            self._reply(message, self.answers.configure(message["config"], str(message.get("secrets"))))
        elif kind == "health":
            self._reply(message, {"health": self.answers.health()})

    def _set_clock(self, message: Message) -> None:
        if isinstance(message.get("unix_ns"), int):
            off = set_clock(message["unix_ns"])
            if abs(off) > LARGEST_CORRECTION:
                self.log.info(f"clock was {off:+.3f} s off the host's")

    def _resume(self, message: Message) -> None:
        """The host's clock and memory come before the first handshake; a node that can't begin greets as failed."""
        self._set_clock(message)
        was = self.answers.hello()
        self.answers.begin(int(message.get("tai64n", 0)), dict(message.get("endpoints", {})))
        if self.answers.hello() != was:
            self._greet()

    def _reply(self, request: Message, content: dict[str, Any]) -> None:
        try:
            self._send({"type": "reply", "id": request.get("id"), **content})
        except FrameError as error:
            self._send({"type": "reply", "id": request.get("id"), "error": str(error)})


def find_port(directory: Path = PORTS, name: str = PORT_NAME) -> Path | None:
    """The device node of the virtio-serial port of this name, None while the kernel has not found it."""
    for entry in sorted(directory.glob("*/name")):
        if entry.read_text().strip() == name:
            device = Path("/dev") / entry.parent.name
            return device if device.exists() else None
    return None
