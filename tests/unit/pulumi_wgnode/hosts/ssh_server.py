"""A real SSH server in this process (paramiko's), which runs commands as the current user."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_public_identity,
)


def new_key() -> tuple[str, paramiko.PKey]:
    """(OpenSSH private key text, the same as paramiko has it)."""
    raw = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return raw.decode(), paramiko.Ed25519Key.from_private_key(io.StringIO(raw.decode()))


@dataclass
class SshServer:
    """What the server did: each login tried, each command run, connections and sessions open at once."""

    port: int
    host_key: paramiko.PKey
    allowed: paramiko.PKey
    host_text: str = ""
    logins: list[str] = field(default_factory=list)
    offered: list[str] = field(default_factory=list)  # kinds of keys, certificates among them
    commands: list[str] = field(default_factory=list)
    transports: list[paramiko.Transport] = field(default_factory=list)
    sessions: int = 0
    most_sessions: int = 0
    refuse: int = 0  # sessions, before one is let in again
    refuse_exec: bool = False
    shell: tuple[str, ...] = ("sh",)  # the user's login shell, which gets "-c" and the command
    environment: dict[str, str] = field(default_factory=dict)  # of the login shell, beside ours
    hang: str = ""  # where it does nothing more: "auth", "session", "exec", "output" or "status"
    released: threading.Event = field(default_factory=threading.Event)  # ends that
    authority: str = ""  # whose certificates for a user let them in, "TYPE BASE64"
    certificate: str = ""  # of the host key, shown in its place
    through: list[tuple[str, int]] = field(default_factory=list)  # where people asked to be let through to
    lets_through: int = paramiko.OPEN_SUCCEEDED
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def pin(self) -> str:
        return f"{self.host_key.get_name()} {self.host_key.get_base64()}"


class Certified(paramiko.Ed25519Key):
    """A host key that is shown as its certificate."""

    certificate = ""

    def asbytes(self) -> bytes:
        return base64.b64decode(self.certificate.split()[1]) if self.certificate else super().asbytes()

    def get_name(self) -> str:
        return self.certificate.split()[0] if self.certificate else super().get_name()


class Server(paramiko.ServerInterface):
    def __init__(self, record: SshServer, transport: paramiko.Transport) -> None:
        self.record, self.transport = record, transport

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.record.logins.append(username)
        self._hang("auth")
        good = (
            key.asbytes() == self.record.allowed.asbytes()
            if key.public_blob is None
            else self._certified(username, key)
        )
        self.record.offered.append(key.public_blob.key_type if key.public_blob else key.get_name())
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def _certified(self, username: str, key: paramiko.PKey) -> bool:
        """As sshd does with TrustedUserCAKeys."""
        line = f"{key.public_blob.key_type} {base64.b64encode(key.public_blob.key_blob).decode()}"
        found = load_ssh_public_identity(line.encode())
        signer = found.signature_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        timely = found.valid_after <= time.time() < found.valid_before
        return signer == self.record.authority and timely and username.encode() in found.valid_principals

    def check_channel_direct_tcpip_request(self, chanid: int, origin: tuple[str, int], to: tuple[str, int]) -> int:
        self.record.through.append(to)
        if self.record.lets_through != paramiko.OPEN_SUCCEEDED:
            return self.record.lets_through
        try:
            far = socket.create_connection(to, timeout=5)
        except OSError:
            return paramiko.OPEN_FAILED_CONNECT_FAILED
        threading.Thread(target=_relay, args=(self.transport, chanid, far), daemon=True).start()
        return paramiko.OPEN_SUCCEEDED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def _hang(self, stage: str) -> None:
        """In the thread of the whole connection, as a process that is stopped."""
        if self.record.hang == stage:
            self.record.released.wait()

    def check_channel_request(self, kind: str, chanid: int) -> int:
        self._hang("session")
        with self.record.lock:
            self.record.refuse -= 1
            return (
                paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED if self.record.refuse >= 0 else paramiko.OPEN_SUCCEEDED
            )

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._hang("exec")
        if self.record.refuse_exec:
            return False
        channel.transport.when_answered(lambda: _execute(self.record, channel, command.decode()))
        return True


class InOrder(paramiko.Transport):
    """A command begins when its request is answered, as sshd's does; else a quick one's end could come before that."""

    _begins: threading.Thread | None = None

    def when_answered(self, run: Callable[[], None]) -> None:
        """Asked in this transport's own thread, which answers next."""
        self._begins = threading.Thread(target=run, daemon=True)

    def _send_user_message(self, data: paramiko.Message) -> None:
        super()._send_user_message(data)
        if self._begins is not None and threading.current_thread() is self:
            self._begins.start()
            self._begins = None


class DeafServer(Server):
    """Takes a connection, and never answers a login."""

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        time.sleep(3)
        return super().check_auth_publickey(username, key)


def _execute(record: SshServer, channel: paramiko.Channel, command: str) -> None:
    with record.lock:
        record.commands.append(command)
        record.sessions += 1
        record.most_sessions = max(record.most_sessions, record.sessions)
    child = subprocess.Popen(
        [*record.shell, "-c", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, **record.environment},
        start_new_session=True,
    )

    def feed() -> None:
        with contextlib.suppress(OSError):
            while data := channel.recv(1 << 16):
                child.stdin.write(data)
        child.stdin.close()

    def send(source, sink) -> None:
        with contextlib.suppress(OSError, EOFError):  # the client has gone
            while data := source.read(1 << 16):
                sink(data)
                if record.hang == "output":
                    record.released.wait()

    threads = [
        threading.Thread(target=feed, daemon=True),
        threading.Thread(target=send, args=(child.stdout, channel.sendall), daemon=True),
        threading.Thread(target=send, args=(child.stderr, channel.sendall_stderr), daemon=True),
    ]
    for thread in threads:
        thread.start()
    for thread in threads[1:]:
        thread.join()
    code = child.wait()
    if record.hang == "status":
        channel.shutdown_write()
        record.released.wait()
    with record.lock:
        record.sessions -= 1
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        if code >= 0:  # of one that a signal ended, sshd says the signal, which is no status
            channel.send_exit_status(code)
        channel.close()


def _shown(record: SshServer) -> Iterator[paramiko.PKey]:
    yield record.host_key
    if record.certificate:
        key = Certified(file_obj=io.StringIO(record.host_text))
        key.certificate = record.certificate
        yield key


def _relay(transport: paramiko.Transport, chanid: int, far: socket.socket) -> None:
    while (channel := transport._channels.get(chanid)) is None:
        time.sleep(0.01)

    def pump(source, sink) -> None:
        with contextlib.suppress(OSError, EOFError):
            while data := source.recv(1 << 15):
                sink.sendall(data)
        with contextlib.suppress(OSError, EOFError):
            sink.close()

    threading.Thread(target=pump, args=(channel, far), daemon=True).start()
    pump(far, channel)


@contextmanager
def ssh_server(allowed: paramiko.PKey) -> Iterator[SshServer]:
    listener = socket.create_server(("127.0.0.1", 0))
    text, key = new_key()
    record = SshServer(listener.getsockname()[1], key, allowed, text)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                transport = InOrder(client)
                for key in _shown(record):
                    transport.add_server_key(key)
                record.transports.append(transport)
                with contextlib.suppress(Exception):
                    transport.start_server(server=Server(record, transport), event=threading.Event())

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield record
    finally:
        record.released.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for transport in record.transports:
            transport.close()
