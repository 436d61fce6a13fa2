"""Unpack an image and a gateway's layers into a directory: what a kernel does at boot, for a gateway without one.

Runs as root on hosts, which need nothing but Python: `python3 -I unpack.pyz ROOT USER IMAGE LAYER...`. zstd is of the
library that Debian's dpkg and systemd are linked with (zstd.h).
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from wgnode.image import cpio

MODULES = ("__init__.py", "image/__init__.py", "image/cpio.py", "image/unpack.py")
MAIN = b"from wgnode.image.unpack import main\n\nraise SystemExit(main())\n"
SERVICE = "service"
"""What the gateway's unit starts: an image without it is of a version before there was such a backend."""
MOUNT_POINTS = ("dev", "proc", "run", "sys", "tmp", "var/tmp")
PIECE = 1 << 20
MOST = 1 << 30
"""Bytes: an image has 31 MiB inside."""


class UnpackError(Exception):
    """The text says of what, and why."""


def program() -> bytes:
    """The zipapp that hosts run."""
    from wgnode.hostd import bundle  # not in the zipapp itself

    return bundle.zipapp(MODULES, MAIN)


def main() -> int:
    root, user, *sources = sys.argv[1:]
    try:
        unpack(Path(root), [Path(source) for source in sources], pwd.getpwnam(user).pw_uid)
    except (OSError, KeyError, UnpackError) as error:
        print(f"<3>this gateway can't be started: {error}", file=sys.stderr)
        return 1
    return 0


def unpack(root: Path, sources: list[Path], user: int) -> None:
    """Replace `root` by what is in an image's initial file system and in the layers after it.

    Secrets belong to `user`, everything else to whoever runs this. Raises UnpackError, OSError.
    """
    os.umask(0o022)
    new = root.with_name(f"{root.name}.new")
    for old in (new, root):
        shutil.rmtree(old, ignore_errors=True)
    new.mkdir(mode=0o755)
    if os.statvfs(new).f_flag & os.ST_NOEXEC:
        raise UnpackError(f"{new.parent} is mounted noexec, and the gateway's programs are below it")
    for source in sources:
        for path, entry in _entries(source):
            _place(new, path, entry, user)
    if not (new / SERVICE).is_file():
        raise UnpackError(f"{sources[0]} is too old for backend process: build an image of this version")
    for name in MOUNT_POINTS:
        (new / name).mkdir(parents=True, exist_ok=True)
    os.rename(new, root)


def _entries(source: Path) -> Iterator[tuple[str, cpio.Entry]]:
    data = source.read_bytes()
    try:
        yield from cpio.unpack(decompressed(data) if data[:4] == ZSTD_MAGIC else data)
    except (cpio.CpioError, UnpackError) as error:
        raise UnpackError(f"{source}: {error}") from None


def _place(root: Path, path: str, entry: cpio.Entry, user: int) -> None:
    """Raises UnpackError for a path that leads out. Devices are systemd's to make."""
    parts = PurePosixPath(path).parts
    if not parts or ".." in parts or path.startswith("/"):
        raise UnpackError(f"{path!r} is no path in an image")
    target = root.joinpath(*parts)
    if not target.parent.resolve().is_relative_to(root.resolve()):
        raise UnpackError(f"{path!r} is behind a link that leads out of the image")
    if stat.S_ISDIR(entry.mode):
        target.mkdir(exist_ok=True)
    elif stat.S_ISLNK(entry.mode):
        target.symlink_to(entry.data.decode())
        return
    elif not stat.S_ISREG(entry.mode):
        return
    else:
        private = not entry.mode & 0o077
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(entry.data)
        if private and os.geteuid() == 0:
            os.chown(target, user, -1)
    target.chmod(stat.S_IMODE(entry.mode) & 0o755)


# zstd, by its library

ZSTD_MAGIC = bytes.fromhex("28b52ffd")


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer."""

    _fields_ = (("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("at", ctypes.c_size_t))


def decompressed(data: bytes) -> bytes:
    """Of the one frame in it, whatever zero bytes come after. Raises UnpackError for one that is cut off or damaged."""
    zstd = _library()
    source, room = ctypes.create_string_buffer(data, len(data)), ctypes.create_string_buffer(PIECE)
    taken = _Buffer(ctypes.addressof(source), len(data), 0)
    stream, made = ctypes.c_void_p(zstd.ZSTD_createDStream()), bytearray()
    try:
        while True:
            given = _Buffer(ctypes.addressof(room), PIECE, 0)
            left = zstd.ZSTD_decompressStream(stream, ctypes.byref(given), ctypes.byref(taken))
            if zstd.ZSTD_isError(left):
                raise UnpackError(f"it is damaged ({zstd.ZSTD_getErrorName(left).decode()})")
            made += room.raw[: given.at]
            if left == 0:
                return bytes(made)
            if len(made) > MOST:
                raise UnpackError(f"it has more than {MOST} bytes inside")
            if taken.at == taken.size and given.at < PIECE:
                raise UnpackError("it is cut off")
    finally:
        zstd.ZSTD_freeDStream(stream)


def _library() -> ctypes.CDLL:
    try:
        zstd = ctypes.CDLL("libzstd.so.1")
    except OSError as error:
        raise UnpackError(f"zstd's library is missing (package libzstd1): {error}") from None
    zstd.ZSTD_createDStream.restype = ctypes.c_void_p
    zstd.ZSTD_freeDStream.argtypes = (ctypes.c_void_p,)
    zstd.ZSTD_decompressStream.restype = ctypes.c_size_t
    zstd.ZSTD_decompressStream.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Buffer), ctypes.POINTER(_Buffer))
    zstd.ZSTD_isError.argtypes = zstd.ZSTD_getErrorName.argtypes = (ctypes.c_size_t,)
    zstd.ZSTD_getErrorName.restype = ctypes.c_char_p
    return zstd
