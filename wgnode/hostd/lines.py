"""hostd's own socket: a client sends one JSON line and gets one JSON line back."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wgnode.io.loop import Loop

LARGEST_QUESTION = 65536
MOST_CLIENTS = 32
Reply = Callable[[dict[str, Any]], None]
Handler = Callable[[dict[str, Any], Reply], None]


class LineListener:
    """Serves a socket file that only its owner and root can open. A file that was there is replaced."""

    def __init__(self, loop: Loop, path: Path, handler: Handler) -> None:
        self.loop, self.path, self.handler = loop, path, handler
        self._clients: set[_Client] = set()
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        before = os.umask(0o177)
        try:
            self._socket.bind(str(path))
        finally:
            os.umask(before)
        self._socket.listen(MOST_CLIENTS)
        loop.add_reader(self._socket.fileno(), self._accept)

    def close(self) -> None:
        for client in list(self._clients):
            client.close()
        self.loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._socket.accept()
            if len(self._clients) >= MOST_CLIENTS:
                connection.close()
                return
            connection.setblocking(False)
            self._clients.add(_Client(self.loop, connection, self.handler, self._clients.discard))


class _Client:
    def __init__(
        self, loop: Loop, connection: socket.socket, handler: Handler, on_close: Callable[[_Client], None]
    ) -> None:
        self.loop, self.connection, self.handler, self.on_close = loop, connection, handler, on_close
        self.fd = connection.fileno()
        self.received = b""
        self.unsent = b""
        loop.add_reader(self.fd, self._readable)

    def close(self) -> None:
        if self.fd < 0:
            return
        self.loop.remove_reader(self.fd)
        self.loop.remove_writer(self.fd)
        self.connection.close()
        self.fd = -1
        self.on_close(self)

    def _readable(self) -> None:
        try:
            data = self.connection.recv(LARGEST_QUESTION)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.received += data
        if not data or len(self.received) > LARGEST_QUESTION:
            return self.close()
        line, newline, _ = self.received.partition(b"\n")
        if newline:
            self.loop.remove_reader(self.fd)
            self._ask(line)

    def _ask(self, line: bytes) -> None:
        try:
            question = json.loads(line)
        except (ValueError, RecursionError):
            question = None
        if isinstance(question, dict):
            self.handler(question, self._reply)
        else:
            self._reply({"error": "a question is one JSON object on a line"})

    def _reply(self, answer: dict[str, Any]) -> None:
        if self.fd >= 0:
            self.unsent = json.dumps(answer).encode() + b"\n"
            self.loop.add_writer(self.fd, self._writable)

    def _writable(self) -> None:
        try:
            self.unsent = self.unsent[self.connection.send(self.unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self.unsent = b""
        if not self.unsent:
            self.close()
