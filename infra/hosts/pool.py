"""One SSH connection a host for the whole process, with at most 8 commands on it at once.

sshd lets in 10 sessions a connection (MaxSessions) and starts refusing at 10 logins (MaxStartups), so resources of
the same host share one.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import paramiko

from infra.hosts.host import Connection, Host, HostUnreachable
from infra.hosts.ssh import RECONNECT_TIMEOUT, open_transport
from infra.hosts.ssh_host import SshHost

CHANNELS = 8
CHANNEL_TIMEOUT = 15.0  # seconds
# Seconds in which a host that could not be reached is not tried again for the next resource, and one that fell silent
# has less time to connect.
REMEMBER = 10.0


class _Line:
    """The connection to one host, opened when first used and again when it broke."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._transport: paramiko.Transport | None = None
        self._opening = threading.Lock()
        self._slots = threading.BoundedSemaphore(CHANNELS)
        self._failed: tuple[float, HostUnreachable] | None = None
        self._broke = -REMEMBER

    @contextmanager
    def channel(self) -> Iterator[paramiko.Channel]:
        with self._slots:
            channel = self._session()
            try:
                yield channel
            except (paramiko.SSHException, OSError, EOFError):
                self._broke = time.monotonic()
                raise
            finally:
                channel.close()

    def _session(self) -> paramiko.Channel:
        deadline = time.monotonic() + CHANNEL_TIMEOUT
        again = True
        while True:
            transport = self.open()
            try:
                return transport.open_session(timeout=CHANNEL_TIMEOUT)
            except (paramiko.SSHException, OSError, EOFError) as error:
                if transport.is_active() and "Timeout" not in str(error):
                    # Refused: sshd still counts sessions that have just ended. (Not by type: of two that are refused
                    # at once, paramiko raises ChannelException for one only.)
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
                    continue
                transport.close()  # it died since its last use
                self._broke = time.monotonic()
                if not again:
                    raise
                again = False

    def open(self) -> paramiko.Transport:
        with self._opening:
            if self._transport is not None and self._transport.is_active():
                return self._transport
            if self._failed and time.monotonic() - self._failed[0] < REMEMBER:
                raise self._failed[1]
            try:
                broke = time.monotonic() - self._broke < REMEMBER
                self._transport = open_transport(self._connection, RECONNECT_TIMEOUT if broke else None)
            except HostUnreachable as error:
                self._failed = (time.monotonic(), error)
                raise
            return self._transport

    def close(self) -> None:
        with self._opening, contextlib.suppress(OSError, EOFError):
            if self._transport is not None:
                self._transport.close()
                self._transport = None


_lines: dict[Connection, _Line] = {}
_lock = threading.Lock()


def connect(connection: Connection) -> Host:
    """The host behind this connection; raises HostUnreachable, HostKeyMismatch or HostError (no login)."""
    with _lock:
        line = _lines.setdefault(connection, _Line(connection))
    line.open()
    return SshHost(connection, line.channel)


@contextmanager
def new_connection(connection: Connection) -> Iterator[Host]:
    """A host over a connection of its own, made now: the proof that one can still get in."""
    line = _Line(connection)
    try:
        line.open()
        yield SshHost(connection, line.channel)
    finally:
        line.close()


def forget(connection: Connection) -> None:
    """Close the pooled connection, so that the next use makes a new one."""
    with _lock:
        line = _lines.pop(connection, None)
    if line is not None:
        line.close()
