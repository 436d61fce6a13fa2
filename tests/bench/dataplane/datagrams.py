"""A sender and a counter of small UDP datagrams, many at a system call; run as a script inside a namespace.

    datagrams.py receive ADDRESS PORT               says `ready`, then what came, up to the end mark or 3 s of silence
    datagrams.py send ADDRESS PORT RATE SECONDS SIZE    RATE in datagrams a second, 0 as fast as it goes

Each prints one line of JSON. Nearly all its time is the kernel's: 400,000 a second take less than one processor.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import socket
import struct
import sys
import time

BATCH = 64
STEP = 0.0005
"""Seconds between two batches where the rate is low: bursts are no longer than what falls due in that time."""
ROOM = 2048
"""Bytes for one received datagram."""
END = b"END!"
SILENCE = 3
SETTLE = 0.3
"""Seconds after the last datagram and before the end mark, for what queues hold."""
MSG_WAITFORONE = 0x10000
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33

_libc = ctypes.CDLL(None, use_errno=True)


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Msghdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.POINTER(_Iovec)),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Mmsghdr(ctypes.Structure):
    _fields_ = (("header", _Msghdr), ("length", ctypes.c_uint))


class Batch:
    """Buffers for BATCH datagrams of `size` bytes, and the headers that the system calls want."""

    def __init__(self, size: int) -> None:
        self._buffer = ctypes.create_string_buffer(size * BATCH)
        self._vectors = (_Iovec * BATCH)()
        self.headers = (_Mmsghdr * BATCH)()
        base = ctypes.addressof(self._buffer)
        for number, (vector, message) in enumerate(zip(self._vectors, self.headers, strict=True)):
            vector.base, vector.length = base + number * size, size
            message.header.iov, message.header.iov_length = ctypes.pointer(vector), 1


def due(elapsed: float, rate: float, sent: int) -> int:
    """How many to send now, up to BATCH; 0 while less than a step's worth, or a batch, has fallen due."""
    if not rate:
        return BATCH
    waiting = int(elapsed * rate) - sent
    return min(waiting, BATCH) if waiting >= max(1, min(BATCH, rate * STEP)) else 0


def send(address: str, port: int, rate: float, seconds: float, size: int) -> dict[str, float]:
    batch, sent, refused = Batch(size), 0, 0
    with _socket(address) as sender:
        sender.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20)
        sender.connect((address, port))
        begin = time.monotonic()
        while (elapsed := time.monotonic() - begin) < seconds:
            if not (number := due(elapsed, rate, sent)):
                time.sleep(STEP / 5)
            elif (done := _libc.sendmmsg(sender.fileno(), batch.headers, number, 0)) > 0:
                sent += done
            else:
                refused += 1
        result = {"sent": sent, "seconds": elapsed, "refused": refused, "processor": time.process_time()}
        time.sleep(SETTLE)
        with contextlib.suppress(ConnectionRefusedError):  # the counter has seen the first and is gone
            for _ in range(5):
                sender.send(END)
                time.sleep(0.02)
    return result


def receive(address: str, port: int) -> dict[str, float]:
    batch, received = Batch(ROOM), 0
    with _socket(address) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        receiver.bind((address, port))
        print("ready", flush=True)
        _until_readable(receiver)
        while (number := _libc.recvmmsg(receiver.fileno(), batch.headers, BATCH, MSG_WAITFORONE, None)) > 0:
            received += number
            if batch.headers[number - 1].length == len(END):  # nothing comes after it but more of them
                marks = sum(batch.headers[place].length == len(END) for place in range(number))
                return {"received": received - marks, "processor": time.process_time()}
    return {"received": received, "processor": time.process_time()}


def _socket(address: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)


def _until_readable(receiver: socket.socket) -> None:
    """From the first datagram on, silence ends the counting; before it, a sender may take its time to start."""
    receiver.settimeout(10 * SILENCE)
    receiver.recv(1, socket.MSG_PEEK)
    receiver.settimeout(None)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SILENCE, 0))


def main(words: list[str]) -> None:
    if words[0] == "receive":
        print(json.dumps(receive(words[1], int(words[2]))), flush=True)
    else:
        rate, seconds, size = float(words[3]), float(words[4]), int(words[5])
        print(json.dumps(send(words[1], int(words[2]), rate, seconds, size)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
