"""Connecting to one of the addresses of a name: each gets a fair share of the time (RFC 8305, "happy eyeballs").

They are tried beside each other, so one that swallows packets costs the others a moment and no more.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections.abc import Generator
from itertools import chain, zip_longest

STAGGER = 0.25  # seconds until the next address is tried too (Connection Attempt Delay, section 8)

Address = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


class NotTried(OSError):
    """This machine sent nothing; the same errors of a connection that was begun are what a router said (ICMP)."""


def connected(addresses: list[Address], until: float) -> Generator[tuple[socket.socket, int], None, None]:
    """Sockets that got through, as they do, each with how many addresses are left that may still.

    `until` in seconds of time.monotonic(). Raises OSError, the last of its kind, where no more come.
    """
    waiting = in_turn(addresses)
    error: OSError = TimeoutError("timed out")
    start_at = time.monotonic()
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or selector.get_map():
                now = time.monotonic()
                if now >= until:
                    raise TimeoutError("timed out")
                if waiting and now >= start_at:
                    try:
                        selector.register(_start(waiting.pop(0)), selectors.EVENT_WRITE)
                        start_at = now + STAGGER
                    except OSError as failed:
                        error = failed
                    continue
                for ready, _ in selector.select(min(until, start_at if waiting else until) - now):
                    sock = _taken(selector, ready)
                    if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                        sock.close()
                        error, start_at = OSError(code, os.strerror(code)), 0.0
                    else:
                        sock.setblocking(True)
                        yield sock, len(waiting) + len(selector.get_map())
                        start_at = 0.0
        finally:
            for key in list(selector.get_map().values()):
                _taken(selector, key).close()
    raise error


def in_turn(addresses: list[Address]) -> list[Address]:
    """The families by turns, beginning with the resolver's first (section 4): else all of one could fail before."""
    first = [one for one in addresses if one[0] == addresses[0][0]]
    others = [one for one in addresses if one[0] != addresses[0][0]]
    return [one for one in chain(*zip_longest(first, others)) if one is not None]


def _start(address: Address) -> socket.socket:
    sock = socket.socket(address[0], socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        code = sock.connect_ex(address[4])
        if code not in (0, errno.EINPROGRESS):
            raise NotTried(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock


def _taken(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> socket.socket:
    selector.unregister(key.fileobj)
    assert isinstance(key.fileobj, socket.socket)
    return key.fileobj
