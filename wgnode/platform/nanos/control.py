"""The control channel over TCP on the transit link: Nanos has no virtio-serial port that a program can open.

hostd speaks to a Unix socket as ever; on the host, the unit's program hands that on (wgnode/image/nanos/host.py).
Whoever comes from another address than the host's is hung up on: lwIP takes a connection to any of its addresses by any
interface. A peer can't have the host's address, which is in no allowed IPs; from the LAN somebody may forge it, and the
answers go to the host all the same.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Set

from wgnode.io.accept import Acceptor
from wgnode.io.control import Channel, Message
from wgnode.io.loop import Loop

BACKLOG = 4


class Tcp:
    """One host at a time, the newest: the one before is gone, or will come again."""

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        hosts: Set[str],
        on_body: Callable[[bytes], None],
        on_open: Callable[[], None],
    ) -> None:
        self._loop, self._listener, self._hosts = loop, listener, hosts
        self._on_body, self._on_open = on_body, on_open
        self._connection: socket.socket | None = None
        self._channel: Channel[bytes] | None = None
        self._acceptor = Acceptor(loop, listener, self._accept)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def send(self, message: Message) -> bool:
        return self._channel is not None and self._channel.send(message)

    def listen(self, wanted: bool) -> None:
        if self._channel is not None:
            (self._channel.read_on if wanted else self._channel.rest)()

    def close(self) -> None:
        self._acceptor.close()
        self._hang_up()
        self._listener.close()

    def _accept(self, connection: socket.socket) -> None:
        if self._comes_from(connection) not in self._hosts:
            return connection.close()
        self._hang_up()
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._connection = connection
        self._channel = Channel(
            self._loop, connection.fileno(), self._on_body, lambda _: self._gone(connection), read=bytes
        )
        self._on_open()

    def _gone(self, connection: socket.socket) -> None:
        """The channel has let go of it."""
        if connection is self._connection:
            self._channel = self._connection = None
        connection.close()

    def _hang_up(self) -> None:
        if self._channel is not None and self._connection is not None:
            self._channel.close()
            self._connection.close()
        self._channel = self._connection = None

    @staticmethod
    def _comes_from(connection: socket.socket) -> str | None:
        try:
            return str(connection.getpeername()[0])
        except OSError:  # gone already
            return None


def open_tcp(
    loop: Loop,
    address: tuple[str, int],
    hosts: Set[str],
    on_body: Callable[[bytes], None],
    on_open: Callable[[], None],
) -> Tcp:
    """Listen at this address; nobody is let in but from `hosts`. Raises OSError."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return Tcp(loop, listener, hosts, on_body, on_open)
