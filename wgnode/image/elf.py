"""The little of ELF (64 bit, little endian) that the builder needs: wanted libraries, module metadata, load segments.

Source: the System V ABI, and elf(5). Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

PT_LOAD, PT_DYNAMIC, PT_NOTE = 1, 2, 4
DT_NEEDED, DT_STRTAB = 1, 5
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")


class ElfError(ValueError):
    """Not an ELF file of the kind we use."""


@dataclass(frozen=True)
class Segment:
    kind: int
    flags: int
    offset: int
    virtual: int
    physical: int
    file_size: int
    memory_size: int
    alignment: int


def segments(data: bytes) -> list[Segment]:
    if data[:6] != b"\x7fELF\x02\x01":
        raise ElfError("no 64-bit little-endian ELF")
    (offset,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    return [Segment(*PROGRAM_HEADER.unpack_from(data, offset + i * size)) for i in range(count)]


def needed(data: bytes) -> list[str]:
    """The libraries that the dynamic loader would load for this file (DT_NEEDED)."""
    parts = segments(data)
    dynamic = next((part for part in parts if part.kind == PT_DYNAMIC), None)
    if dynamic is None:
        return []
    entries = [struct.unpack_from("<qQ", data, dynamic.offset + at) for at in range(0, dynamic.file_size - 15, 16)]
    table = next(_file_offset(parts, value) for tag, value in entries if tag == DT_STRTAB)
    return [_string(data, table + value) for tag, value in entries if tag == DT_NEEDED]


def modinfo(data: bytes) -> dict[str, str]:
    """A kernel module's `.modinfo` section ("depends", "name", ...), the last of repeated ones."""
    for name, start, size in _sections(data):
        if name == ".modinfo":
            pairs = (item.partition(b"=") for item in data[start : start + size].split(b"\0") if item)
            return {key.decode(): value.decode(errors="replace") for key, _, value in pairs}
    raise ElfError("no .modinfo section: not a kernel module")


def loadable(data: bytes) -> bytes:
    """The same program without sections: headers, load segments and notes at the offsets that they had.

    A boot loader reads nothing else (the PVH entry point is a note).
    """
    end = max(part.offset + part.file_size for part in segments(data) if part.kind in (PT_LOAD, PT_NOTE))
    head = bytearray(data[:64])
    struct.pack_into("<Q", head, 40, 0)
    struct.pack_into("<HHH", head, 58, 0, 0, 0)
    return bytes(head) + data[64:end]


def _sections(data: bytes) -> Iterator[tuple[str, int, int]]:
    (offset,) = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    headers = [SECTION_HEADER.unpack_from(data, offset + i * size) for i in range(count)]
    table = headers[names][4]
    for header in headers:
        yield _string(data, table + header[0]), header[4], header[5]


def _file_offset(parts: list[Segment], virtual: int) -> int:
    for part in parts:
        if part.kind == PT_LOAD and part.virtual <= virtual < part.virtual + part.file_size:
            return virtual - part.virtual + part.offset
    raise ElfError(f"address {virtual:#x} is in no segment")


def _string(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode()
