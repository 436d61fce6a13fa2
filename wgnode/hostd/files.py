"""Small JSON files that must outlive the guest: read with suspicion, and replaced whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from wgnode.io import strict

LARGEST = 4 << 20
"""Bytes; where 10,000 peers are is 1.5 MB."""


def read(file: Path, largest: int = LARGEST, most: int = strict.MOST_VALUES) -> tuple[Any, int]:
    """Its content, of `most` values at most, and when it was written (nanoseconds since 1970). Never follows a link,
    nor waits for a pipe.

    Raises OSError, and ValueError for what is no file of ours.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("not a regular file")
        if found.st_uid not in (os.geteuid(), 0):
            raise ValueError(f"it belongs to user {found.st_uid}")
        if found.st_size > largest:
            raise ValueError(f"{found.st_size} bytes; the limit is {largest}")
        return strict.loads(stream.read(largest + 1), most), found.st_mtime_ns


def replace(file: Path, content: bytes) -> None:
    """On the disk when this returns. Raises OSError. Whatever lies in the new file's place goes, and is never written
    through."""
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
    os.replace(new, file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
