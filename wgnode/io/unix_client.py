"""One client of a Unix stream socket, in the event loop. What it asks and how it is answered is the subclass's."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from wgnode.io.loop import Loop

PIECE = 65536
"""Bytes read at once."""


class UnixClient(ABC):
    """`on_close` is called once with the client when the connection ends, whoever ended it."""

    def __init__(self, loop: Loop, connection: socket.socket, on_close: Callable[[Any], None]) -> None:
        connection.setblocking(False)
        self.loop, self.connection, self.on_close = loop, connection, on_close
        self.fd = connection.fileno()
        self.unsent = bytearray()
        loop.add_reader(self.fd, self._readable)

    def close(self) -> None:
        if self.fd < 0:
            return
        self.loop.remove_reader(self.fd)
        self.loop.remove_writer(self.fd)
        self.connection.close()
        self.fd = -1
        self.on_close(self)

    @abstractmethod
    def received(self, data: bytes) -> None:
        """Some bytes came (never none)."""

    @abstractmethod
    def sent(self) -> None:
        """All that `send` was given has left."""

    def send(self, data: bytes) -> None:
        """Send all of it, now or as the client takes it."""
        if self.fd >= 0:
            self.unsent += data
            self._writable()

    def _readable(self) -> None:
        try:
            data = self.connection.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.received(data)
        else:
            self.close()

    def _writable(self) -> None:
        try:
            del self.unsent[: self.connection.send(self.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            return self.close()
        if self.unsent:
            self.loop.add_writer(self.fd, self._writable)
        else:
            self.loop.remove_writer(self.fd)
            self.sent()
