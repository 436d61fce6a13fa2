"""A cable that takes time, since the kernel may have no netem: `python -m tests.lab.path.cable A:eth0 B:eth0 25 1e6`.

[namespace A] tap ---- this process ---- tap [namespace B]

The last two words are the delay each way in milliseconds, and the rate each way in bytes a second (inf: none). It says
`ready` once both taps are there, and ends when its input does, that is with whoever started it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import struct
import sys
import time
from contextlib import suppress

from tests.lab.path.queue import Queue

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TAP_NO_PI = 0x0002 | 0x1000
AT_ONCE = 64
"""Frames that are read before others get their turn."""
LONGEST = 65536


def tap(place: str) -> int:
    """The tap `NAMESPACE:INTERFACE`, as a file descriptor. For the thread that calls, it enters the namespace."""
    namespace, _, name = place.partition(":")
    with open(f"/run/netns/{namespace}") as handle:
        if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter network namespace {namespace}")
    made = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(made, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP_NO_PI))
    return made


def carry(ends: tuple[int, int], queues: tuple[Queue, Queue]) -> None:
    """Until standard input ends. `queues[0]` is from the first end to the second."""
    ways = list(zip(ends, reversed(ends), queues, strict=True))
    while True:
        dues = [due for due in (queue.due() for queue in queues) if due is not None]
        wait = max(0.0, min(dues) - time.monotonic()) if dues else None
        ready, _, _ = select.select([0, *ends], [], [], wait)
        if 0 in ready and not os.read(0, 1):
            return
        for source, target, queue in ways:
            if source in ready:
                fill(queue, source)
            for frame in queue.take(time.monotonic()):
                with suppress(OSError):  # the other end is down, or its own queue is full
                    os.write(target, frame)


def fill(queue: Queue, source: int) -> None:
    with suppress(OSError):  # nothing more, or the end is down
        for _ in range(AT_ONCE):
            queue.put(os.read(source, LONGEST), time.monotonic())


def main() -> None:
    first, second, milliseconds, rate = sys.argv[1:]
    ends = tap(first), tap(second)
    print("ready", flush=True)
    carry(ends, (Queue(float(milliseconds) / 1000, float(rate)), Queue(float(milliseconds) / 1000, float(rate))))


if __name__ == "__main__":
    main()
