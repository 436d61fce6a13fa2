"""hostd's own socket: a client sends one JSON line and gets one JSON line back."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wgnode.io import strict
from wgnode.io.accept import Acceptor
from wgnode.io.loop import Loop
from wgnode.io.unix_client import UnixClient

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
        self._acceptor = Acceptor(loop, self._socket, self._accept)

    def close(self) -> None:
        for client in list(self._clients):
            client.close()
        self._acceptor.close()
        self._socket.close()
        self.path.unlink(missing_ok=True)

    def _accept(self, connection: socket.socket) -> None:
        if len(self._clients) >= MOST_CLIENTS:
            connection.close()
            return
        self._clients.add(_Client(self.loop, connection, self.handler, self._clients.discard))


class _Client(UnixClient):
    """One question, one answer."""

    def __init__(
        self, loop: Loop, connection: socket.socket, handler: Handler, on_close: Callable[[_Client], None]
    ) -> None:
        self.handler = handler
        self.question = b""
        super().__init__(loop, connection, on_close)

    def received(self, data: bytes) -> None:
        self.question += data
        if len(self.question) > LARGEST_QUESTION:
            return self.close()
        line, newline, _ = self.question.partition(b"\n")
        if newline:
            self.loop.remove_reader(self.fd)
            self._ask(line)

    def sent(self) -> None:
        self.close()

    def _ask(self, line: bytes) -> None:
        try:
            question = strict.loads(line)
        except strict.Malformed:
            question = None
        if isinstance(question, dict):
            self.handler(question, self._reply)
        else:
            self._reply({"error": "a question is one JSON object on a line"})

    def _reply(self, answer: dict[str, Any]) -> None:
        self.send(json.dumps(answer).encode() + b"\n")
