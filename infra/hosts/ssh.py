"""One SSH transport: connect, check the pinned host key before anything is sent, log in."""

from __future__ import annotations

import base64
import hashlib
import logging
import socket
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout

import paramiko

from infra.hosts import private_key
from infra.hosts.host import Connection, HostError, HostKeyMismatch, HostUnreachable, LoginRefused

# With what the engine needs itself, a command ends within 10 s for a host that is away, whichever way it is.
CONNECT_TIMEOUT = 5.0  # seconds for name and TCP
RECONNECT_TIMEOUT = 2.0  # seconds for the same to a host whose connection has just broken
BANNER_GRACE = 2.0  # seconds more until the first word of an SSH server
HANDSHAKE_TIMEOUT = 20.0  # seconds for key exchange and login of a host that did answer, which may be a slow one
SILENCE_TIMEOUT = 5_000  # milliseconds of unacknowledged data after which a connection counts as dead
KEEPALIVE = 1  # seconds between packets that want to be acknowledged while we only wait
# What matters comes as an exception; paramiko would also print tracebacks of its own.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False
_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")


def name_of(connection: Connection) -> str:
    address = f"[{connection.address}]" if ":" in connection.address else connection.address
    port = "" if connection.port == 22 else f":{connection.port}"
    return f"{connection.user}@{address}{port}"


def open_transport(connection: Connection, patience: float | None = None) -> paramiko.Transport:
    """A transport that is logged in, `patience` in seconds if it is not to be CONNECT_TIMEOUT.

    Raises HostUnreachable, HostKeyMismatch or HostError (no login).
    """
    keys = _load_key(connection)
    connected_by = time.monotonic() + (CONNECT_TIMEOUT if patience is None else patience)
    transport = paramiko.Transport(_connect(connection, connected_by))
    try:
        _negotiate(transport, connection, connected_by + BANNER_GRACE)
        _check_host_key(transport.get_remote_server_key(), connection)
        _log_in(transport, connection, keys)
        transport.set_keepalive(KEEPALIVE)
    except BaseException:
        transport.close()
        raise
    return transport


def fingerprint(key: bytes) -> str:
    """As ssh-keygen -l prints it: "SHA256:..."."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _connect(connection: Connection, deadline: float) -> socket.socket:
    error: OSError = TimeoutError("timed out")
    try:
        for family, _, _, _, address in _resolve(connection, deadline - 1):
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(max(0.1, deadline - time.monotonic()))
                sock.connect(address)
            except OSError as failed:
                sock.close()
                error = failed
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each command is a few small packets
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_TIMEOUT)
            return sock
    except OSError as failed:
        error = failed
    raise HostUnreachable(
        f"host {name_of(connection)}: cannot connect to port {connection.port} ({error.strerror or error});"
        " check that it is up, its address, and that its firewall lets this machine in"
    )


_Address = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


def _resolve(connection: Connection, deadline: float) -> list[_Address]:
    """getaddrinfo, but not for longer than we wait to connect."""
    resolver = ThreadPoolExecutor(1)
    asked = resolver.submit(socket.getaddrinfo, connection.address, connection.port, type=socket.SOCK_STREAM)
    resolver.shutdown(wait=False)
    try:
        return list(asked.result(max(0.5, deadline - time.monotonic())))
    except FutureTimeout:
        raise TimeoutError("its name could not be resolved in time") from None


def _negotiate(transport: paramiko.Transport, connection: Connection, deadline: float) -> None:
    """Key exchange, asking for the pinned kinds of host key first."""
    pinned = {_pin_parts(pin)[0] for pin in connection.host_keys}
    options = transport.get_security_options()
    wanted = [kind for kind in options.key_types if _family(kind) in pinned]
    options.key_types = tuple(wanted + [kind for kind in options.key_types if kind not in wanted])
    transport.banner_timeout = max(1.0, deadline - time.monotonic())
    transport.auth_timeout = HANDSHAKE_TIMEOUT
    try:
        transport.start_client(timeout=HANDSHAKE_TIMEOUT)
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise HostUnreachable(
            f"host {name_of(connection)}: port {connection.port} answers, but not as an SSH server should ({error})"
        ) from None


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
            raise HostError(f"host {name_of(connection)}: no private key given and no SSH agent with keys is running")
        return found
    try:
        return [private_key.load(connection.private_key)]
    except private_key.KeyProblem as problem:
        raise HostError(f"host {name_of(connection)}: its private key cannot be used: {problem}") from None


def _log_in(transport: paramiko.Transport, connection: Connection, keys: list[paramiko.PKey]) -> None:
    for tried, key in enumerate(keys):
        try:
            if not transport.auth_publickey(connection.user, key):
                return
        except (paramiko.SSHException, OSError, EOFError) as error:
            # paramiko has one exception for a refusal and for a connection that went dead at this point.
            refused = isinstance(error, paramiko.AuthenticationException) and "timeout" not in str(error)
            if refused and transport.is_active():
                continue
            if tried and "timeout" not in str(error):
                raise LoginRefused(
                    f"host {name_of(connection)}: ends the connection after {tried} of the agent's {len(keys)} keys"
                    " (its MaxAuthTries); start an agent with the right key alone, or set host.privateKey"
                ) from None
            raise HostUnreachable(f"host {name_of(connection)}: the connection ended at login ({error})") from None
    shown = ", ".join(fingerprint(key.asbytes()) for key in keys)
    raise LoginRefused(
        f"host {name_of(connection)}: refuses the key {shown}; add its public half to"
        f" ~{connection.user}/.ssh/authorized_keys there"
    )
