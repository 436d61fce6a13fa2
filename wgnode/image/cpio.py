"""The "newc" cpio format that Linux unpacks as its initial file system. Reproducible: sorted, owned by root, no times.

Source: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel. Pure.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MAGIC = b"070701"
TRAILER = "TRAILER!!!"
HEADER_LENGTH = 110


class CpioError(ValueError):
    """Not a cpio archive of the newc kind, or cut off."""


@dataclass(frozen=True)
class Entry:
    """A file, directory, symbolic link (`data` is its target) or device node of an archive."""

    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def file(data: bytes, permissions: int = 0o644) -> Entry:
    return Entry(stat.S_IFREG | permissions, data)


def directory(permissions: int = 0o755) -> Entry:
    return Entry(stat.S_IFDIR | permissions)


def symlink(target: str) -> Entry:
    return Entry(stat.S_IFLNK | 0o777, target.encode())


def character_device(major: int, minor: int, permissions: int = 0o600) -> Entry:
    return Entry(stat.S_IFCHR | permissions, device=(major, minor))


def pack(entries: Mapping[str, Entry]) -> bytes:
    """An archive of `entries` by path (relative, no leading slash) with the directories above them.

    Its length is a multiple of 512, so that another part can follow.
    """
    tree = dict(entries)
    for path in entries:
        while "/" in path:
            path = path.rsplit("/", 1)[0]
            tree.setdefault(path, directory())
    records = [_record(number, path, tree[path]) for number, path in enumerate(sorted(tree), 1)]
    archive = b"".join([*records, _record(0, TRAILER, Entry(0))])
    return archive + bytes(-len(archive) % 512)


def unpack(archive: bytes) -> Iterator[tuple[str, Entry]]:
    """Entries of one archive or of several in a row (zero bytes between them). Raises CpioError."""
    offset = 0
    while offset < len(archive):
        if archive[offset] == 0:
            offset += 1
            continue
        header = archive[offset : offset + HEADER_LENGTH]
        if header[:6] != MAGIC or len(header) < HEADER_LENGTH:
            raise CpioError(f"no newc header at byte {offset}")
        try:
            fields = [int(header[6 + 8 * i : 14 + 8 * i], 16) for i in range(13)]
        except ValueError:
            raise CpioError(f"no newc header at byte {offset}") from None
        name_end = offset + HEADER_LENGTH + fields[11]
        data_start = name_end + -name_end % 4
        data_end = data_start + fields[6]
        if data_end > len(archive):
            raise CpioError(f"cut off in the entry at byte {offset}")
        name = archive[offset + HEADER_LENGTH : name_end - 1].decode()
        offset = data_end + -data_end % 4
        if name != TRAILER:
            yield name, Entry(fields[1], archive[data_start:data_end], (fields[9], fields[10]))


def _record(inode: int, path: str, entry: Entry) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    head = MAGIC + b"".join(b"%08X" % field for field in fields) + name
    return head + bytes(-len(head) % 4) + entry.data + bytes(-len(entry.data) % 4)
