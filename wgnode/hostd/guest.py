"""The link to the guest: one connection to QEMU's control socket, made anew whenever it breaks, shared by all requests.

Requests carry an id and wait for the reply with the same id, so any number of clients can be served over the one port.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable
from pathlib import Path

from wgnode.io.control import Channel, Message
from wgnode.io.loop import Loop, Timer

RECONNECT = 1.0
"""Seconds after a connection has ended; the guest needs 0.25 s to see that it is gone."""
RETRY = 0.2
"""Seconds between attempts while no machine runs."""
ASK_HELLO = 2.0
"""Seconds after which a guest that did not greet is asked to."""
REQUEST_TIMEOUT = 10.0
SILENT_AFTER = 10.0
"""Seconds without a sign of life after which a guest counts as silent."""
MOST_PENDING = 256

Answer = Callable[[Message | None], None]
"""Gets the reply, or None when there was none in time or the guest went away."""


class GuestLink:
    """`on_message` gets hello, log, heartbeat and whatever else the guest tells by itself."""

    def __init__(
        self, loop: Loop, path: Path, on_message: Callable[[Message], None], log: Callable[[str], None]
    ) -> None:
        self.loop, self.path, self.on_message, self.log = loop, path, on_message, log
        self.hello: Message | None = None
        self.connected_at: float | None = None
        self.alive_at: float | None = None
        self._socket: socket.socket | None = None
        self._channel: Channel | None = None
        self._ids = itertools.count(1)
        self._pending: dict[int, tuple[Answer, Timer]] = {}
        loop.call_later(0, self._connect)

    @property
    def status(self) -> str:
        """ "stopped" (no machine), "booting", "failed" (no node in the guest, see its error), "silent" or "running"."""
        if self.connected_at is None:
            return "stopped"
        if self.hello is None:
            return "booting"
        if self.alive_at is None or self.loop.now() - self.alive_at > SILENT_AFTER:
            return "silent"
        return "failed" if self.hello.get("error") else "running"

    def send(self, message: Message) -> None:
        """Tell the guest something, if it is there."""
        if self._channel is not None:
            self._channel.send(message)

    def request(self, message: Message, answer: Answer, timeout: float = REQUEST_TIMEOUT) -> None:
        """Ask the guest; `answer` is called once, never before this returns."""
        number = next(self._ids)
        alive = self._channel is not None and self.hello is not None and len(self._pending) < MOST_PENDING
        if not alive or self._channel is None or not self._channel.send({**message, "id": number}):
            self.loop.call_later(0, lambda: answer(None))
            return
        timer = self.loop.call_later(timeout, lambda: self._answered(number, None))
        self._pending[number] = (answer, timer)

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._socket is not None:
            self._socket.close()

    def _connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            connection.connect(str(self.path))
        except OSError:  # no machine, or one that serves somebody else
            connection.close()
            self.loop.call_later(RETRY, self._connect)
            return
        self._socket = connection
        self.connected_at = self.loop.now()
        self._channel = Channel(self.loop, connection.fileno(), self._received, self._closed)
        self._ask_hello(self._channel)

    def _ask_hello(self, channel: Channel) -> None:
        """The guest greets when it sees a new connection; asking covers the case that it saw none."""
        if channel is self._channel and self.hello is None:
            channel.send({"type": "hello"})
            self.loop.call_later(ASK_HELLO, lambda: self._ask_hello(channel))

    def _closed(self, why: str | None) -> None:
        if why is not None:
            self.log(f"control channel: {why}")
        if self._socket is not None:
            self._socket.close()
        self._socket = self._channel = self.hello = None
        self.connected_at = self.alive_at = None
        for number in list(self._pending):
            self._answered(number, None)
        self.loop.call_later(RECONNECT, self._connect)

    def _received(self, message: Message) -> None:
        self.alive_at = self.loop.now()
        if message["type"] == "reply":
            number = message.get("id")
            if isinstance(number, int):
                self._answered(number, message)
            return
        if message["type"] == "hello":
            if message == self.hello:  # asked for more than once, while it booted
                return
            self.hello = message
        self.on_message(message)

    def _answered(self, number: int, reply: Message | None) -> None:
        answer, timer = self._pending.pop(number, (None, None))
        if answer is not None and timer is not None:
            timer.cancel()
            answer(reply)
