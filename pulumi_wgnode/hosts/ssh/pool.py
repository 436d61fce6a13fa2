"""One SSH connection a host for the whole process, with at most 8 commands on it at once.

sshd lets in 10 sessions a connection (MaxSessions) and starts refusing at 10 logins (MaxStartups), so resources of
the same host share one.

A login that was refused, or a host key that is not the pinned one, is remembered for the life of the process (a run of
the engine or of one of our commands): each further attempt is one more step to being banned (fail2ban, MaxAuthTries).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import paramiko

from pulumi_wgnode.call import deadline
from pulumi_wgnode.hosts.host import (
    Connection,
    Host,
    HostError,
    HostHangs,
    HostKeyMismatch,
    HostUnreachable,
    LoginRefused,
    NoShell,
    OutOfTime,
)
from pulumi_wgnode.hosts.ssh import jumping
from pulumi_wgnode.hosts.ssh.exchange import Shell
from pulumi_wgnode.hosts.ssh.login import RECONNECT_TIMEOUT, open_transport
from pulumi_wgnode.hosts.ssh.ssh_host import SshHost
from pulumi_wgnode.hosts.ssh.way import Way, find, name_of

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
        self._counting = threading.Lock()
        self._users: Counter[paramiko.Transport] = Counter()  # commands on each
        self.shell = Shell()

    @contextmanager
    def channel(self) -> Iterator[paramiko.Channel]:
        self._acquire(self._slots)
        try:
            channel = self._session()
            transport = channel.get_transport()
            with self._counting:
                self._users[transport] += 1
            try:
                yield channel
            except (paramiko.SSHException, OSError, EOFError, HostUnreachable) as error:
                self._retire(transport, error)
                raise
            finally:
                channel.close()
                self._leave(transport)
        finally:
            self._slots.release()

    def _session(self) -> paramiko.Channel:
        until = time.monotonic() + deadline.at_most(CHANNEL_TIMEOUT)
        again = True
        while True:
            transport = self.open()
            try:
                return transport.open_session(timeout=max(0.1, until - time.monotonic()))
            except (paramiko.SSHException, OSError, EOFError) as error:
                silent = "Timeout" in str(error)
                if transport.is_active() and not silent:
                    # Refused: sshd still counts sessions that have just ended. (Not by type: of two that are refused
                    # at once, paramiko raises ChannelException for one only.)
                    if time.monotonic() > until:
                        raise NoShell(
                            f"host {name_of(self._connection)}: opens no session for a command ({error}); see"
                            " MaxSessions in its sshd_config (10 is usual, 0 forbids all)"
                        ) from None
                    time.sleep(0.05)
                    continue
                if silent:
                    hangs = HostHangs(
                        f"host {name_of(self._connection)}: its sshd let us in, but opens no session; look at the load"
                        " of the host, and restart its sshd"
                    )
                    self._retire(transport, error if deadline.over() else hangs)
                    _require_time(self._connection)  # which says nothing of the host
                    raise hangs from None
                self._retire(transport, error)  # it died since its last use
                if not again:
                    raise
                again = False

    def open(self) -> paramiko.Transport:
        self._acquire(self._opening)
        try:
            if (transport := self._transport) is not None and transport.is_active():
                return transport
            _raise_remembered(self._connection)
            if self._failed and time.monotonic() - self._failed[0] < REMEMBER:
                raise type(self._failed[1])(str(self._failed[1]))
            try:
                broke = time.monotonic() - self._broke < REMEMBER
                patience = RECONNECT_TIMEOUT if broke else None
                self._transport = transport = open_transport(self._connection, patience, _through)
            except HostUnreachable as error:
                _require_time(self._connection)  # which says nothing of the host
                self._failed = (time.monotonic(), error)
                raise
            except (LoginRefused, HostKeyMismatch) as error:
                _remember(self._connection, error)
                raise
            return transport
        finally:
            self._opening.release()

    def forward(self, way: Way, seconds: float) -> paramiko.Channel:
        """To what `way` leads to, through this host. Raises HostError, by the name of what it leads to."""
        try:
            transport = self.open()
        except HostError as error:
            raise jumping.not_let_in(way, error) from None
        return jumping.channel(transport, way, seconds)

    def close(self) -> None:
        with self._opening:
            transport, self._transport = self._transport, None
        if transport is not None:
            _close(transport)

    def _retire(self, transport: paramiko.Transport, error: Exception) -> None:
        """No new command goes over it; those that run on it may still be answered. Waits for nobody who connects."""
        self._broke = time.monotonic()
        if isinstance(error, HostHangs):
            self._failed = (self._broke, error)
        if self._transport is transport:
            self._transport = None
        with self._counting:
            idle = not self._users[transport]
        if idle:
            _close(transport)

    def _leave(self, transport: paramiko.Transport) -> None:
        with self._counting:
            self._users[transport] -= 1
            idle = not self._users[transport]
            if idle:
                del self._users[transport]
        if idle and transport is not self._transport:
            _close(transport)

    def _acquire(self, lock: threading.Lock | threading.BoundedSemaphore) -> None:
        """Raises OutOfTime where the operation's own time ends first."""
        if not lock.acquire(timeout=deadline.at_most(threading.TIMEOUT_MAX)):
            _require_time(self._connection)


_lines: dict[Connection, _Line] = {}
_refused: dict[Connection, HostError] = {}
_lock = threading.Lock()


def connect(connection: Connection) -> Host:
    """The host behind this connection; raises HostUnreachable, HostKeyMismatch or HostError (no login)."""
    line = _line(connection)
    line.open()
    return _host(connection, line)


def _line(connection: Connection) -> _Line:
    with _lock:
        return _lines.setdefault(connection, _Line(connection))


def _host(connection: Connection, line: _Line) -> Host:
    way = find(connection)
    return SshHost(way.name, way.user, line.channel, line.shell)


def _through(jump: Connection, way: Way, seconds: float) -> paramiko.Channel:
    """By the one connection to the jump host, which all hosts behind it share."""
    return _line(jump).forward(way, seconds)


@contextmanager
def new_connection(connection: Connection) -> Iterator[Host]:
    """A host over a connection of its own, made now: the proof that one can still get in."""
    line = _Line(connection)
    try:
        line.open()
        yield _host(connection, line)
    finally:
        line.close()


def forget(connection: Connection) -> None:
    """Close the pooled connection, so that the next use makes a new one, also where it was refused."""
    with _lock:
        line = _lines.pop(connection, None)
        for refused in (connection, _login(connection)):
            _refused.pop(refused, None)
    if line is not None:
        line.close()


def _login(connection: Connection) -> Connection:
    """What a refused login depends on: other pins make no other login."""
    return replace(connection, host_keys=(), authorities=())


def _remember(connection: Connection, error: LoginRefused | HostKeyMismatch) -> None:
    with _lock:
        _refused[connection if isinstance(error, HostKeyMismatch) else _login(connection)] = error


def _raise_remembered(connection: Connection) -> None:
    with _lock:
        error = _refused.get(connection) or _refused.get(_login(connection))
    if error is not None:
        raise type(error)(str(error))


def _require_time(connection: Connection) -> None:
    if why := deadline.over():
        raise OutOfTime(
            f"host {name_of(connection)}: {why}, before it answered; give it more, or see what is slow there"
        )


def _close(transport: paramiko.Transport) -> None:
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        transport.close()
