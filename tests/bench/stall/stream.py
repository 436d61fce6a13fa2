"""A stream of datagrams at a steady rate, and the gaps between their arrivals. Run as a script inside a namespace.

    stream.py send ADDRESS PORT RATE SECONDS
    stream.py receive ADDRESS PORT     says `ready`; after the end mark one line of JSON: milliseconds between datagrams

Arrivals are timed by the kernel (SO_TIMESTAMPNS), so the receiver may be late itself.
"""

from __future__ import annotations

import itertools
import json
import socket
import struct
import sys
import time

SO_TIMESTAMPNS = 35
END = b"END!"
SIZE = 100


def send(address: str, port: int, rate: float, seconds: float) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((address, port))
        begin = time.monotonic()
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            while (now := time.monotonic()) < due:
                time.sleep(due - now)
            sender.send(struct.pack(">I", number).ljust(SIZE, b"\0"))
        for _ in range(5):
            time.sleep(0.2)
            sender.send(END)


def receive(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        receiver.bind((address, port))
        receiver.settimeout(10)
        print("ready", flush=True)
        arrivals = []
        while True:
            data, ((_, _, stamp),), *_ = receiver.recvmsg(SIZE, 64)
            if data == END:
                break
            seconds, nanoseconds = struct.unpack("qq", stamp)
            arrivals.append(seconds + nanoseconds / 1e9)
    gaps = [round((after - before) * 1000, 4) for before, after in itertools.pairwise(arrivals)]
    print(json.dumps({"arrived": len(arrivals), "gaps": gaps}), flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["send", address, port, rate, seconds]:
            send(address, int(port), float(rate), float(seconds))
        case ["receive", address, port]:
            receive(address, int(port))
