"""The link to the guest: one connection to QEMU's control socket, made anew whenever it breaks, shared by all requests.

Requests carry an id and wait for the reply with the same id, so any number of clients can be served over the one port.
"""

from __future__ import annotations

import errno
import itertools
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from wgnode.hostd import said
from wgnode.hostd.rates import Bucket
from wgnode.hostd.said import Failure, Health, Hello, Outcome, Refused, Reply, Said, UapiText
from wgnode.io.control import Channel, FrameError, Message
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

MESSAGES = (100.0, 1000.0)
"""A second, and at once: a guest boots with hundreds of lines to tell. One that has more to say has to wait."""
BYTES = (8 << 20, 32 << 20)
"""The same."""
REFUSALS = (0.1, 10.0)
"""Lines about what was refused."""

Content = UapiText | Outcome | Health | Failure
Answer = Callable[[Content | None], None]
"""Gets the reply, or None when there was none in time or the guest went away."""


class GuestLink:
    """`paths` are tried in their order. `on_message` gets hello, log, heartbeat and whatever else the guest tells by
    itself, judged (said.py). `latest` is the newest time that the host's clock has shown, in nanoseconds since 1970.
    """

    def __init__(
        self,
        loop: Loop,
        paths: Sequence[Path],
        on_message: Callable[[Said], None],
        log: Callable[[str], None],
        latest: Callable[[], int] = time.time_ns,
    ) -> None:
        self.loop, self.paths, self.on_message, self.log, self.latest = loop, tuple(paths), on_message, log, latest
        self.hello: Hello | None = None
        self.refused = 0
        self.connected_at: float | None = None
        self.alive_at: float | None = None
        self._socket: socket.socket | None = None
        self._channel: Channel[bytes] | None = None
        self._messages, self._bytes, self._refusals = Bucket(*MESSAGES), Bucket(*BYTES), Bucket(*REFUSALS)
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
        return "failed" if self.hello.error else "running"

    def send(self, message: Message) -> None:
        """Tell the guest something, if it is there."""
        if self._channel is not None and not self._channel.send(message):
            self._complain(f"a {message['type']} message was not sent, because the guest does not read")

    def request(self, message: Message, answer: Answer, timeout: float = REQUEST_TIMEOUT) -> None:
        """Ask the guest; `answer` is called once, never before this returns."""
        number = next(self._ids)
        alive = self._channel is not None and self.hello is not None and len(self._pending) < MOST_PENDING
        try:
            sent = alive and self._channel is not None and self._channel.send({**message, "id": number})
        except FrameError as error:
            too_large = Failure(str(error), errno.EMSGSIZE)
            self.loop.call_later(0, lambda: answer(too_large))
            return
        if not sent:
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
        connection = next(filter(None, map(_connected, self.paths)), None)
        if connection is None:
            self.loop.call_later(RETRY, self._connect)
            return
        self._socket = connection
        self.connected_at = self.loop.now()
        self._channel = Channel(self.loop, connection.fileno(), self._received, self._closed, read=bytes)
        self._ask_hello(self._channel)

    def _ask_hello(self, channel: Channel[bytes]) -> None:
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

    def _received(self, body: bytes) -> None:
        self._bound(len(body))
        try:
            heard = said.parse(body, self.latest())
        except Refused as error:  # no sign of life: a guest that only talks nonsense is as good as silent
            self.refused += 1
            self._complain(f"the guest said what is not believed ({self.refused} times): {error}")
            return
        self.alive_at = self.loop.now()
        if isinstance(heard, Reply):
            return self._answered(heard.number, heard.content)
        if isinstance(heard, Hello):
            if heard == self.hello:  # asked for more than once, while it booted
                return
            self.hello = heard
        self.on_message(heard)

    def _bound(self, size: int) -> None:
        """Who talks too much is not listened to for a while: what that costs is the guest's own time."""
        now = self.loop.now()
        wait = max(self._messages.take(1, now), self._bytes.take(size, now))
        if wait and self._channel is not None:
            self._channel.rest(wait)

    def _complain(self, text: str) -> None:
        if self._refusals.offer(self.loop.now()):
            self.log(text)

    def _answered(self, number: int, reply: Content | None) -> None:
        answer, timer = self._pending.pop(number, (None, None))
        if answer is not None and timer is not None:
            timer.cancel()
            answer(reply)


def _connected(path: Path) -> socket.socket | None:
    """None where no machine is, or one that serves somebody else."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        return None
    return connection
