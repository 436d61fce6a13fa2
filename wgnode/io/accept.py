"""A listening socket in the event loop. Standard library only."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

from wgnode.io.loop import Loop, Timer

RETRY = 1.0
"""Seconds without descriptors or memory until the next attempt: whoever waits keeps the socket readable meanwhile."""
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Calls back with each connection. The caller owns the socket, and closes it after `close()`."""

    def __init__(self, loop: Loop, listener: socket.socket, on_connection: Callable[[socket.socket], None]) -> None:
        self.loop, self.listener, self.on_connection = loop, listener, on_connection
        self._resting: Timer | None = None
        self._watch()

    def close(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
        self.loop.remove_reader(self.listener.fileno())

    def _watch(self) -> None:
        self._resting = None
        self.loop.add_reader(self.listener.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError as error:
            if error.errno in EXHAUSTED:
                self.loop.remove_reader(self.listener.fileno())
                self._resting = self.loop.call_later(RETRY, self._watch)
            return  # else the client has left again
        self.on_connection(connection)
