"""A TCP flow that may be stuck, and is torn down all the same."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.lab.interop import Namespace

AT_ONCE = struct.pack("ii", 1, 0)


@contextmanager
def stream(source: Namespace, sink: Namespace, address: str) -> Iterator[list[int]]:
    """Bytes that have arrived so far, in a list of one, while TCP sends as fast as it goes. Raises OSError where not
    even a connection comes about."""
    listener = sink.call(lambda: socket.create_server((address, 0)))
    sender = source.call(lambda: socket.create_connection(listener.getsockname(), 30))
    receiver, _ = listener.accept()
    arrived, over = [0], threading.Event()
    for each in (sender, receiver):
        each.settimeout(0.2)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)

    def send() -> None:
        piece = bytes(1 << 16)
        while not over.is_set():
            with suppress(TimeoutError):
                sender.send(piece)

    def receive() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                arrived[0] += len(receiver.recv(1 << 18))

    threads = [threading.Thread(target=work, daemon=True) for work in (send, receive)]
    for thread in threads:
        thread.start()
    try:
        yield arrived
    finally:
        over.set()
        for thread in threads:
            thread.join(10)
        for each in (sender, receiver, listener):
            each.close()
