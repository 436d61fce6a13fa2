"""A guest at the other end of the control socket, as QEMU shows it: one client only, gone when it is closed."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from wgnode.io.control import Decoder, Message, encode
from wgnode.io.loop import Loop


class FakeGuest:
    """Answers by hand: `received` holds what hostd sent."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "control.sock"
        self.path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.path))
        self.listener.listen(1)
        self.listener.setblocking(False)
        self.connection: socket.socket | None = None
        self.decoder = Decoder()
        self.received: list[Message] = []

    def poll(self) -> None:
        if self.connection is None:
            try:
                self.connection, _ = self.listener.accept()
            except BlockingIOError:
                return
            self.connection.setblocking(False)
        try:
            self.received += self.decoder.feed(self.connection.recv(65536))
        except BlockingIOError:
            return

    def send(self, message: Message) -> None:
        assert self.connection is not None
        self.connection.sendall(encode(message))

    def restart(self) -> None:
        """The machine ends and another one starts."""
        assert self.connection is not None
        self.connection.close()
        self.connection = None
        self.received.clear()

    def of_type(self, kind: str) -> list[Message]:
        return [message for message in self.received if message["type"] == kind]

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.listener.close()
        self.path.unlink(missing_ok=True)


def turn(loop: Loop, guest: FakeGuest, until: Callable[[], object], limit: float = 10.0) -> None:
    """Let both ends run until something is so."""
    deadline = loop.now() + limit
    while not until():
        assert loop.now() < deadline, "it did not happen"
        loop.run_once(0.01)
        guest.poll()
