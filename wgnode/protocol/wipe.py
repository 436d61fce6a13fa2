"""Overwriting secrets in memory, as far as Python allows: see docs/security.md, "What Python cannot promise"."""

from __future__ import annotations

import ctypes
import sys

_HEADER = bytes.__basicsize__ - 1
"""CPython's bytes objects: a header, the bytes, a final zero that counts as part of the basic size."""


def wipe(*secrets: bytes) -> None:
    """Zero these objects where they are. Only for bytes that we made and nobody uses any more: it changes them.

    Copies that somebody else made stay. Nothing happens on other implementations than CPython, nor to objects of
    less than two bytes, which all of the program shares.
    """
    if sys.implementation.name != "cpython":
        return
    for secret in secrets:
        if type(secret) is bytes and len(secret) > 1:
            ctypes.memset(id(secret) + _HEADER, 0, len(secret))


def own(secret: bytes) -> bytes:
    """A copy in memory of its own, that may be wiped without anybody else losing theirs."""
    passing = bytearray(secret)
    copy = bytes(passing)
    passing[:] = bytes(len(passing))
    return copy
