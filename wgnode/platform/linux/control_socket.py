"""The control channel over a Unix socket (unix(7)), for a node that shares its host's kernel: hostd is the client."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from wgnode.io.accept import Acceptor
from wgnode.io.control import Channel, Message
from wgnode.io.loop import Loop


def listen(path: Path) -> socket.socket:
    """A socket that its owner, its group and root can connect to, in place of one that was there. Raises OSError."""
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    before = os.umask(0o117)
    try:
        made.bind(str(path))
    finally:
        os.umask(before)
    made.listen(1)
    return made


class SocketLine:
    """One host at a time: one that comes takes the place of the one before, which has gone or will not be heard."""

    def __init__(
        self,
        listener: socket.socket,
        loop: Loop,
        on_body: Callable[[bytes], None],
        on_open: Callable[[], None],
    ) -> None:
        self._loop, self._on_body, self._on_open = loop, on_body, on_open
        self._connection: socket.socket | None = None
        self._channel: Channel[bytes] | None = None
        self._acceptor = Acceptor(loop, listener, self._accept)

    def send(self, message: Message) -> bool:
        return self._channel is not None and self._channel.send(message)

    def listen(self, wanted: bool) -> None:
        if self._channel is not None:
            (self._channel.read_on if wanted else self._channel.rest)()

    def _accept(self, connection: socket.socket) -> None:
        self._part()
        self._connection = connection
        self._channel = Channel(self._loop, connection.fileno(), self._on_body, self._closed, read=bytes)
        self._on_open()

    def _closed(self, _: str | None) -> None:
        self._part()

    def _part(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._connection is not None:
            self._connection.close()
        self._channel = self._connection = None
