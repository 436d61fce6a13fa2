"""Traffic for tests and the demo: a transfer with a checksum, and a capture, by sockets made inside namespaces."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lab import netns
from lab.errors import LabError

_ETH_P_ALL = 3
_SO_RCVBUFFORCE = 33
_SNAP = 256
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Transfer:
    """What was sent and what arrived; sizes in bytes, time in seconds."""

    size: int
    sha256: str
    received_sha256: str
    seconds: float

    @property
    def intact(self) -> bool:
        return self.sha256 == self.received_sha256


@dataclass(frozen=True)
class Packet:
    """One packet as it passed an interface, from its IP header on; `data` is cut at 256 bytes, `size` is not."""

    interface: str
    ethertype: int
    data: bytes
    size: int


def transfer(source: str, target: str, address: str, size: int, timeout: float) -> Transfer:
    """Send `size` random bytes from namespace `source` to a listener on `address` in namespace `target`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with netns.inside(target, lambda: socket.create_server((address, 0), family=family)) as server:
        server.settimeout(timeout)
        digest = hashlib.sha256()
        receiver = threading.Thread(target=_receive, args=(server, digest, timeout), daemon=True)
        receiver.start()
        started = time.monotonic()
        sent = _send(source, address, server.getsockname()[1], size, timeout)
        receiver.join(timeout)
        if receiver.is_alive():
            raise LabError(f"transfer of {size} bytes to {address} did not end within {timeout:g} s")
        return Transfer(size, sent, digest.hexdigest(), time.monotonic() - started)


def _send(source: str, address: str, port: int, size: int, timeout: float) -> str:
    digest = hashlib.sha256()
    with netns.connect(source, address, port, timeout) as connection:
        while size > 0:
            block = os.urandom(min(size, _CHUNK))
            connection.sendall(block)
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()


def _receive(server: socket.socket, digest: hashlib._Hash, timeout: float) -> None:
    try:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(timeout)
            while block := connection.recv(_CHUNK):
                digest.update(block)
    except OSError:
        return


@contextmanager
def capture(namespace: str) -> Iterator[list[Packet]]:
    """Collect packets on all interfaces of a namespace while the block runs."""
    packets: list[Packet] = []
    stop = threading.Event()
    listener = netns.inside(namespace, _listener)

    def collect() -> None:
        buffer = bytearray(_CHUNK)
        while not stop.is_set():
            try:
                size, origin = listener.recvfrom_into(buffer)
            except TimeoutError:
                continue
            packets.append(Packet(origin[0], origin[1], bytes(buffer[: min(size, _SNAP)]), size))

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    try:
        yield packets
        time.sleep(0.1)
    finally:
        stop.set()
        thread.join()
        listener.close()


def _listener() -> socket.socket:
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
    listener.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)
    listener.settimeout(0.05)
    return listener
