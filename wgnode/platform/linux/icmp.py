"""Packet-too-big about our datagrams, by raw sockets (raw(7)) whose filters let nothing else through.

Not by IP_RECVERR on the sockets themselves: each error, forged ones too, would make the next sending or receiving there
fail, whoever's it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct

from wgnode.pathmtu.said import UDP, Said, read4, read6

SO_ATTACH_FILTER = 26
LOAD_BYTE, LOAD_HALF, INDEX_OF_HEADER, INDEXED_BYTE, INDEXED_HALF, JUMP_IF, RETURN = (
    0x30,
    0x28,
    0xB1,
    0x50,
    0x48,
    0x15,
    6,
)
LONGEST = 128
"""Bytes of what comes that are looked at: both headers, and the beginning of the message."""
BUFFER = 1 << 15
"""Bytes: a flood is lost in the kernel."""


class TooBigs:
    """Those about datagrams from one port. Raises OSError (EPERM without CAP_NET_RAW) with nothing open."""

    def __init__(self, port: int) -> None:
        self._port = port
        with contextlib.ExitStack() as failing:
            self._v4 = failing.enter_context(_open(socket.AF_INET, socket.IPPROTO_ICMP, filter4(port)))
            self._v6 = None
            with contextlib.suppress(OSError):  # a machine without IPv6
                self._v6 = failing.enter_context(_open(socket.AF_INET6, socket.IPPROTO_ICMPV6, filter6(port)))
            failing.pop_all()

    @property
    def fds(self) -> list[int]:
        return [each.fileno() for each in (self._v4, self._v6) if each is not None]

    def read(self, most: int) -> tuple[list[Said], bool]:
        """Of `most` that wait, those that can be believed; and whether there may be more."""
        found, full = [], False
        for each, read in ((self._v4, read4), (self._v6, read6)):
            left = most
            while each is not None and left and (data := _receive(each)) is not None:
                left -= 1
                if (said := read(data, self._port)) is not None:
                    found.append(said)
            full |= not left
        return found, full

    def close(self) -> None:
        for each in (self._v4, self._v6):
            if each is not None:
                each.close()


def filter4(port: int) -> bytes:
    """Classic BPF over a whole IPv4 packet."""
    return _program(
        [
            (INDEX_OF_HEADER, 0, None),  # X: bytes of the header
            (INDEXED_HALF, 0, 0x0304),
            (INDEXED_BYTE, 8 + 9, UDP),
            (INDEXED_HALF, 8 + 20, port),
        ]
    )


def filter6(port: int) -> bytes:
    """Over an ICMPv6 message."""
    return _program([(LOAD_HALF, 0, 0x0200), (LOAD_BYTE, 8 + 6, UDP), (LOAD_HALF, 8 + 40, port)])


def _program(steps: list[tuple[int, int, int | None]]) -> bytes:
    """Loads, each compared with a value unless that is None: all equal, or nothing of it."""
    left, code = sum(1 if value is None else 2 for _, _, value in steps), b""
    for load, at, value in steps:
        code += struct.pack("=HBBI", load, 0, 0, at)
        left -= 1
        if value is not None:
            left -= 1
            code += struct.pack("=HBBI", JUMP_IF, 0, left + 1, value)
    return code + struct.pack("=HBBI", RETURN, 0, 0, LONGEST) + struct.pack("=HBBI", RETURN, 0, 0, 0)


def _open(family: int, protocol: int, code: bytes) -> socket.socket:
    made = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
    try:
        buffer = ctypes.create_string_buffer(code)
        program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
        made.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    except BaseException:
        made.close()
        raise
    return made


def _receive(made: socket.socket) -> bytes | None:
    try:
        return made.recv(LONGEST)
    except OSError:
        return None
