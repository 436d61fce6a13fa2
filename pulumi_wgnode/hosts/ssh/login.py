"""One SSH transport: connect, check the pinned host key before anything is sent, log in."""

from __future__ import annotations

import contextlib
import errno
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import cast

import paramiko
from paramiko import Transport

from pulumi_wgnode.call import deadline
from pulumi_wgnode.hosts.host import Connection, HostHangs, HostUnreachable, NoSsh, NotAsked, ShutOut
from pulumi_wgnode.hosts.ssh import dialling, host_key
from pulumi_wgnode.hosts.ssh.authentication import log_in
from pulumi_wgnode.hosts.ssh.credentials import offers
from pulumi_wgnode.hosts.ssh.watchdog import Watchdog
from pulumi_wgnode.hosts.ssh.way import Way, find
from wgnode import greeting

# With what the engine needs itself, a command ends within 10 s for a host that is away, whichever way it is.
CONNECT_TIMEOUT = 5.0  # seconds for name and TCP
RECONNECT_TIMEOUT = 2.0  # seconds for the same to a host whose connection has just broken
BANNER_GRACE = 2.0  # seconds more until the first word of an SSH server
HANDSHAKE_TIMEOUT = 20.0  # seconds for key exchange, and for login, of a host that did answer, which may be slow
SILENCE_TIMEOUT = 5_000  # milliseconds of unacknowledged data after which a connection counts as dead
KEEPALIVE = 1  # seconds between packets that want to be acknowledged while we only wait
# What matters comes as an exception; paramiko would also print tracebacks of its own.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False
_OUR_OWN = (errno.ENETUNREACH, errno.ENETDOWN, errno.EACCES, errno.EPERM, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""Of a connection that this machine does not even try, which says nothing of the host."""


Through = Callable[[Connection, Way, float], paramiko.Channel]
"""From a jump host to what the way leads to, within seconds: as much of a socket as is needed."""


def open_transport(connection: Connection, patience: float | None = None, through: Through | None = None) -> Transport:
    """A transport that is logged in, `patience` in seconds if it is not to be CONNECT_TIMEOUT.

    Raises HostUnreachable, HostKeyMismatch, or another NoEntry, such as LoginRefused.
    """
    way = find(connection)
    keys = offers(way)
    wait = deadline.at_most(CONNECT_TIMEOUT if patience is None else patience)
    connected_by = time.monotonic() + wait
    if way.via is not None:
        assert through is not None, "a way through others needs who opens it"
        transport = _negotiate(
            through(way.via, way, wait), way, max(0.0, connected_by - time.monotonic()) + BANNER_GRACE
        )
    else:
        transport = _direct(way, connected_by)
    with Watchdog(lambda: _abandon(transport)) as watchdog:
        watchdog.limit(deadline.at_most(HANDSHAKE_TIMEOUT), "login")
        try:
            host_key.check(transport.get_remote_server_key(), way)
            log_in(transport, way, keys)
            transport.set_keepalive(KEEPALIVE)
        except BaseException as error:
            _abandon(transport)
            if isinstance(error, NoSsh) and watchdog.late:  # we ended it
                raise HostHangs(str(error)) from None
            raise
    return transport


def _direct(way: Way, connected_by: float) -> Transport:
    try:
        return _negotiated(way, connected_by)
    except OSError as failed:
        ours = isinstance(failed, dialling.NotTried) and failed.errno in _OUR_OWN
        kind = NotAsked if ours else HostUnreachable
        raise kind(
            f"host {way.name}: cannot connect to port {way.port} ({failed.strerror or failed});"
            " check that it is up, its address, and that its firewall lets this machine in"
        ) from None


def _negotiated(way: Way, connected_by: float) -> Transport:
    """A transport with keys exchanged, to the first of the name's addresses that is an SSH server.

    Raises OSError where none takes a connection, another HostUnreachable where what takes them is no SSH server,
    or its name leads to no address.
    """
    said: HostUnreachable | None = None
    addresses = _resolve(way, connected_by - 1)
    with contextlib.closing(dialling.connected(addresses, connected_by)) as sockets:
        try:
            for sock, others in sockets:
                try:
                    return _negotiate(sock, way, _patience(connected_by, others))
                except HostUnreachable as error:
                    said = error
        except OSError:
            if said is None:
                raise
    raise said or TimeoutError("timed out")


def _patience(connected_by: float, others: int) -> float:
    """Seconds for an SSH server's first word: all that is left, or a share of it where other addresses are."""
    left = connected_by - time.monotonic()
    return max(0.5, left / (others + 1)) if others else max(0.0, left) + BANNER_GRACE


def _abandon(transport: Transport) -> None:
    """Close it whatever state it is in; paramiko leaves the socket of one that ended by itself."""
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        transport.close()
        transport.sock.close()


def _resolve(way: Way, until: float) -> list[dialling.Address]:
    """getaddrinfo, but not for longer than we wait to connect. In a thread that nobody waits for at exit."""
    answers: queue.SimpleQueue[list[dialling.Address] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(socket.getaddrinfo(way.address, way.port, type=socket.SOCK_STREAM)))
        except UnicodeError as error:
            answers.put(OSError(f"it is none: {error}"))
        except OSError as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=max(0.5, until - time.monotonic()))
    except queue.Empty:
        raise _nameless(way, "could not be resolved in time") from None
    if isinstance(answer, OSError):
        raise _nameless(way, f"leads to no address ({answer.strerror or answer})")
    return answer


def _nameless(way: Way, why: str) -> NotAsked:
    return NotAsked(
        f"host {way.name}: its name {why}; check site.host.address, and whether this machine resolves names"
        f" (`getent hosts {way.address}`)"
    )


def _negotiate(sock: socket.socket | paramiko.Channel, way: Way, patience: float) -> Transport:
    """Key exchange, asking for the pinned kinds of host key first; `patience` in seconds for the server's first word.

    Raises NoSsh, or HostUnreachable where not a word comes, as by a port that is forwarded to a host that is off.
    """
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each command is a few small packets
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_TIMEOUT)
    heard = greeting.Heard(cast(socket.socket, sock))
    transport = host_key.Client(heard, way)
    try:
        transport.banner_timeout = patience
        transport.auth_timeout = transport.handshake_timeout = HANDSHAKE_TIMEOUT
        with Watchdog(lambda: _abandon(transport)) as watchdog:
            watchdog.limit(deadline.at_most(patience + HANDSHAKE_TIMEOUT), "key exchange")
            transport.start_client(timeout=HANDSHAKE_TIMEOUT)
            if not transport.initial_kex_done:  # paramiko's time limit is no error
                raise TimeoutError("no key exchange in time")
    except BaseException as error:
        _abandon(transport)
        if not isinstance(error, paramiko.SSHException | OSError | EOFError):
            raise
        why = greeting.meaning(heard.lines, str(error) or "it ended the connection")
        said = NoSsh if heard.first else HostUnreachable
        raise (ShutOut if greeting.shuts_out(heard.lines) else said)(
            f"host {way.name}: port {way.port} answers{why}"
        ) from None
    return transport
