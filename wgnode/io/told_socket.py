"""/var/run/wgnode/NAME.sock: what UAPI has no words for. A line of question, a line of JSON as the answer, any number.

`path-mtu`: path_report.device_paths; `probe` or `probe KEY`: search anew, {"probing": how many}; `denials`:
access_report.device_denials; `policy`: read the file of `--policy` again, {"peers": how many it names}. All else gets
{"error": ...}. Readable by its owner only; of a process that was killed the file stays, and is replaced.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

from wgnode.io import policy_file
from wgnode.io.accept import Acceptor
from wgnode.io.access_report import device_denials
from wgnode.io.loop import Loop
from wgnode.io.path_report import device_paths
from wgnode.io.shell import Shell
from wgnode.io.uapi_socket import listen, refuse_or_unlink
from wgnode.io.unix_client import UnixClient
from wgnode.nodeconfig import decode_key

DIRECTORY = Path("/var/run/wgnode")
LONGEST = 256
"""Bytes of a question."""
MOST_CLIENTS = 16
PATH_MTU = "path-mtu"
PROBE = "probe"
DENIALS = "denials"
POLICY = "policy"


class ToldListener:
    """Serves one file until `close`. Raises FileExistsError where another process does, OSError."""

    def __init__(self, loop: Loop, shell: Shell, directory: Path = DIRECTORY, policy: Path | None = None) -> None:
        self._loop, self._shell, self._policy = loop, shell, policy
        self.path = directory / f"{shell.tun.name}.sock"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_or_unlink(self.path)
        self._socket = listen(self.path)
        self._clients: set[_Client] = set()
        self._acceptor = Acceptor(loop, self._socket, self._accept)

    def close(self) -> None:
        for client in list(self._clients):
            client.close()
        self._acceptor.close()
        self._socket.close()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _accept(self, connection: socket.socket) -> None:
        if len(self._clients) >= MOST_CLIENTS:
            return connection.close()
        self._clients.add(_Client(self._loop, connection, self._clients.discard, self._answer))

    def _answer(self, question: str) -> object:
        word, _, key = question.partition(" ")
        if word == PROBE:
            return self._probe(key)
        if question == POLICY:
            return self._judge_by_file()
        if question not in (PATH_MTU, DENIALS):
            known = ", ".join((PATH_MTU, PROBE, f"{PROBE} KEY", DENIALS, POLICY))
            return {"error": f"{question!r} is not known: ask one of {known}"}
        self._shell.catch_up()
        if question == DENIALS:
            return device_denials(self._shell.device, self._loop.now(), time.time())
        return device_paths(self._shell.device, self._shell.paths, self._loop.now(), time.time())

    def _judge_by_file(self) -> object:
        if self._policy is None:
            return {"error": "it was started without --policy"}
        try:
            return {"peers": policy_file.apply(self._policy, self._shell)}
        except (OSError, ValueError) as error:
            return {"error": str(error)}

    def _probe(self, text: str) -> object:
        try:
            key = decode_key(text) if text else None
        except ValueError as error:
            return {"error": str(error)}
        if key is not None and self._shell.device.peer(key) is None:
            return {"error": "there is no peer with this key"}
        return {"probing": self._shell.search_again(key)}


class _Client(UnixClient):
    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        on_close: Callable[[_Client], None],
        answer: Callable[[str], object],
    ) -> None:
        self._answer, self._waiting = answer, b""
        super().__init__(loop, connection, on_close)

    def received(self, data: bytes) -> None:
        *questions, self._waiting = (self._waiting + data).split(b"\n")
        if len(self._waiting) > LONGEST:
            return self.close()
        for question in questions:
            self.send(json.dumps(self._answer(question.decode("utf-8", "replace"))).encode() + b"\n")

    def sent(self) -> None: ...
