"""One SSH transport: connect, check the pinned host key before anything is sent, log in."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import logging
import queue
import socket
import threading
import time
from collections.abc import Iterable
from typing import cast

import paramiko

from pulumi_wgnode.call import deadline
from pulumi_wgnode.hosts.host import (
    Connection,
    HostError,
    HostHangs,
    HostKeyMismatch,
    HostUnreachable,
    LoginRefused,
    NoSsh,
    NotAsked,
    ShutOut,
)
from pulumi_wgnode.hosts.ssh import dialling, private_key
from pulumi_wgnode.hosts.ssh.watchdog import Watchdog
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
_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")


def name_of(connection: Connection) -> str:
    address = f"[{connection.address}]" if ":" in connection.address else connection.address
    port = "" if connection.port == 22 else f":{connection.port}"
    return f"{connection.user}@{address}{port}"


def open_transport(connection: Connection, patience: float | None = None) -> paramiko.Transport:
    """A transport that is logged in, `patience` in seconds if it is not to be CONNECT_TIMEOUT.

    Raises HostUnreachable, HostKeyMismatch or LoginRefused.
    """
    keys = _load_key(connection)
    wait = deadline.at_most(CONNECT_TIMEOUT if patience is None else patience)
    connected_by = time.monotonic() + wait
    try:
        transport = _negotiated(connection, connected_by)
    except OSError as failed:
        kind = NotAsked if failed.errno in _OUR_OWN else HostUnreachable
        raise kind(
            f"host {name_of(connection)}: cannot connect to port {connection.port} ({failed.strerror or failed});"
            " check that it is up, its address, and that its firewall lets this machine in"
        ) from None
    with Watchdog(lambda: _abandon(transport)) as watchdog:
        watchdog.limit(deadline.at_most(HANDSHAKE_TIMEOUT), "login")
        try:
            _check_host_key(transport.get_remote_server_key(), connection)
            _log_in(transport, connection, keys)
            transport.set_keepalive(KEEPALIVE)
        except BaseException as error:
            _abandon(transport)
            if isinstance(error, NoSsh) and watchdog.late:  # we ended it
                raise HostHangs(str(error)) from None
            raise
    return transport


def _negotiated(connection: Connection, connected_by: float) -> paramiko.Transport:
    """A transport with keys exchanged, to the first of the name's addresses that is an SSH server.

    Raises OSError where none takes a connection, another HostUnreachable where what takes them is no SSH server,
    or its name leads to no address.
    """
    said: HostUnreachable | None = None
    addresses = _resolve(connection, connected_by - 1)
    with contextlib.closing(dialling.connected(addresses, connected_by)) as sockets:
        try:
            for sock, others in sockets:
                try:
                    return _negotiate(sock, connection, _patience(connected_by, others))
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


def _abandon(transport: paramiko.Transport) -> None:
    """Close it whatever state it is in; paramiko leaves the socket of one that ended by itself."""
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        transport.close()
        transport.sock.close()


def fingerprint(key: bytes) -> str:
    """As ssh-keygen -l prints it: "SHA256:..."."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _resolve(connection: Connection, until: float) -> list[dialling.Address]:
    """getaddrinfo, but not for longer than we wait to connect. In a thread that nobody waits for at exit."""
    answers: queue.SimpleQueue[list[dialling.Address] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(socket.getaddrinfo(connection.address, connection.port, type=socket.SOCK_STREAM)))
        except UnicodeError as error:
            answers.put(OSError(f"it is none: {error}"))
        except OSError as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=max(0.5, until - time.monotonic()))
    except queue.Empty:
        raise _nameless(connection, "could not be resolved in time") from None
    if isinstance(answer, OSError):
        raise _nameless(connection, f"leads to no address ({answer.strerror or answer})")
    return answer


def _nameless(connection: Connection, why: str) -> NotAsked:
    return NotAsked(
        f"host {name_of(connection)}: its name {why}; check site.host.address, and whether this machine resolves names"
        f" (`getent hosts {connection.address}`)"
    )


def _negotiate(sock: socket.socket, connection: Connection, patience: float) -> paramiko.Transport:
    """Key exchange, asking for the pinned kinds of host key first; `patience` in seconds for the server's first word.

    Raises NoSsh, or HostUnreachable where not a word comes, as by a port that is forwarded to a host that is off.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each command is a few small packets
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_TIMEOUT)
    heard = greeting.Heard(sock)
    transport = paramiko.Transport(cast(socket.socket, heard))
    try:
        _prefer_pinned(transport, connection)
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
            f"host {name_of(connection)}: port {connection.port} answers{why}"
        ) from None
    return transport


def _prefer_pinned(transport: paramiko.Transport, connection: Connection) -> None:
    pinned = {_pin_parts(pin)[0] for pin in connection.host_keys}
    options = transport.get_security_options()
    wanted = [kind for kind in options.key_types if _family(kind) in pinned]
    options.key_types = tuple(wanted + [kind for kind in options.key_types if kind not in wanted])


def _family(kind: str) -> str:
    return "ssh-rsa" if kind in _RSA_SIGNATURES else kind


def _check_host_key(shown: paramiko.PKey, connection: Connection) -> None:
    pins = [_pin_parts(pin) for pin in connection.host_keys]
    if any(key == shown.asbytes() for _, key in pins):
        return
    pinned = ", ".join(f"{kind} {fingerprint(key)}" for kind, key in pins)
    raise HostKeyMismatch(
        f"host {name_of(connection)}: shows host key {shown.get_name()} {fingerprint(shown.asbytes())}, pinned is"
        f" {pinned}; nothing was sent to it. If the host was reinstalled, fetch its keys with `wgnode host scan`,"
        " compare them on its console, and pin them in the site's stack file"
    )


def _pin_parts(pin: str) -> tuple[str, bytes]:
    """ "ssh-ed25519 AAAA... comment" -> (type, key)."""
    try:
        kind, text = pin.split()[:2]
        return kind, base64.b64decode(text, validate=True)
    except ValueError:
        raise HostError(
            f"pinned host key {pin!r} is not of the form 'ssh-ed25519 AAAA...'; see `wgnode host scan`"
        ) from None


def _load_key(connection: Connection) -> list[paramiko.PKey]:
    """The given key, else those of the agent."""
    if connection.private_key is None:
        keys: Iterable[paramiko.PKey] = paramiko.Agent().get_keys()
        if not (found := list(keys)):
            raise LoginRefused(
                f"host {name_of(connection)}: no private key given and no SSH agent with keys is running; start one and"
                " `ssh-add` the key, or set host.privateKey"
            )
        return found
    try:
        return [private_key.load(connection.private_key)]
    except private_key.KeyProblem as problem:
        raise LoginRefused(f"host {name_of(connection)}: its private key cannot be used: {problem}") from None


def _log_in(transport: paramiko.Transport, connection: Connection, keys: list[paramiko.PKey]) -> None:
    for tried, key in enumerate(keys):
        try:
            if more := transport.auth_publickey(connection.user, key):
                raise _refusal(connection, f"takes the key {_shown(key)}, but wants {', '.join(more)} too", _ONE_FACTOR)
            return
        except paramiko.BadAuthenticationType as error:
            ways = ", ".join(error.allowed_types) or "nothing"
            raise _refusal(connection, f"takes no keys from {connection.user}, only {ways}", _KEYS) from None
        except (paramiko.SSHException, OSError, EOFError) as error:
            # paramiko has one exception for a refusal and for a connection that went dead at this point.
            refused = isinstance(error, paramiko.AuthenticationException) and "timeout" not in str(error)
            if refused and transport.is_active():
                continue
            if tried and transport.is_authenticated() is False and "timeout" not in str(error):
                raise _refusal(
                    connection,
                    f"ends the connection after {tried} of the agent's {len(keys)} keys (its MaxAuthTries)",
                    "start an agent with the right key alone, or set host.privateKey",
                ) from None
            raise (HostHangs if "timeout" in str(error) else NoSsh)(
                f"host {name_of(connection)}: the connection ended at login ({error}); if it does so again, see there"
                f" whether {connection.user} may log in at all, or has expired: `journalctl -u ssh` says why"
            ) from None
    root = _ROOT if connection.user == "root" else ""
    where = f"add its public half to ~{connection.user}/.ssh/authorized_keys there{root or _OTHERWISE}"
    raise _refusal(connection, f"refuses the key {', '.join(map(_shown, keys))}", where)


_ONE_FACTOR = "let keys alone be enough for this user (AuthenticationMethods in its sshd_config)"
_KEYS = "allow PubkeyAuthentication in its sshd_config"
_OTHERWISE = "; if it is there, `journalctl -u ssh` says why (AllowUsers, modes of the folders, an unknown shell)"
_ROOT = (
    ", or if it is, see whether its sshd lets root in (PermitRootLogin prohibit-password), or set host.user to a user"
    " with sudo"
)


def _refusal(connection: Connection, what: str, remedy: str) -> LoginRefused:
    return LoginRefused(f"host {name_of(connection)}: {what}; {remedy}")


def _shown(key: paramiko.PKey) -> str:
    return fingerprint(key.asbytes())
