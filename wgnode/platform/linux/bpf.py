"""Raw sockets (raw(7)) that hear only what a filter passes: classic BPF (linux/filter.h) of loads and comparisons."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence

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
Step = tuple[int, int, int | None]
"""A load, from where, and what it has to give; None for one that is only made."""


def program(steps: Sequence[Step], longest: int) -> bytes:
    """All loads give what they have to, and the first `longest` bytes are heard; or nothing is."""
    left, code = sum(1 if value is None else 2 for _, _, value in steps), b""
    for load, at, value in steps:
        code += struct.pack("=HBBI", load, 0, 0, at)
        left -= 1
        if value is not None:
            left -= 1
            code += struct.pack("=HBBI", JUMP_IF, 0, left + 1, value)
    return code + struct.pack("=HBBI", RETURN, 0, 0, longest) + struct.pack("=HBBI", RETURN, 0, 0, 0)


def raw_socket(family: int, protocol: int, code: bytes, buffer: int) -> socket.socket:
    """With room for so many bytes: of a flood the rest is lost in the kernel. Raises OSError (EPERM)."""
    made = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
    try:
        kept = ctypes.create_string_buffer(code)
        made.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(code) // 8, ctypes.addressof(kept)))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    except BaseException:
        made.close()
        raise
    return made
