"""What a kernel's and a klib's ELF files say of themselves: symbols, and who calls whom. Pure."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from wgnode.image.elf import SECTION_HEADER, ElfError, segments

ELF_X86_64 = 62
ET_EXEC, ET_DYN = 2, 3
SHT_SYMTAB, SHT_DYNSYM = 2, 11
CALLS = (0xE8, 0xE9)
"""call rel32, jmp rel32."""
_SYMBOL = struct.Struct("<IBBHQQ")
_COMMIT = re.compile(rb"\0([0-9a-f]{40})\0")


@dataclass(frozen=True)
class Symbol:
    """`code` is its machine code, where it is a function that is in the file."""

    name: str
    address: int
    defined: bool
    code: bytes


class Program:
    """An x86-64 program or library. Raises ElfError for anything else."""

    def __init__(self, data: bytes) -> None:
        segments(data)
        kind, machine = struct.unpack_from("<HH", data, 16)
        if machine != ELF_X86_64 or kind not in (ET_EXEC, ET_DYN):
            raise ElfError(f"an ELF file of type {kind} for machine {machine}, not a program for x86-64")
        self._data = data
        try:
            self.symbols = list(self._read(SHT_SYMTAB))
            self.dynamic = list(self._read(SHT_DYNSYM))
        except (struct.error, IndexError, ValueError) as error:
            raise ElfError(f"its symbols can't be read: {error}") from None

    @property
    def commit(self) -> str | None:
        """Nanos' git commit: `gitversion`, which uname tells (src/unix/syscall.c)."""
        found = _COMMIT.search(self._data)
        return found[1].decode() if found else None

    def defined(self) -> frozenset[str]:
        return frozenset(each.name for each in self.symbols if each.defined)

    def wanted(self) -> frozenset[str]:
        """Names that whoever loads it has to have (src/kernel/elf.c elf_dyn_link)."""
        return frozenset(each.name for each in self.dynamic if each.name and not each.defined)

    def calls(self, callers: tuple[str, ...], callee: str) -> bool | None:
        """Whether one of these functions, or a part that the compiler has split off it, calls or jumps to another.

        None where the symbols do not tell.
        """
        targets = {each.address for each in self.symbols if each.name == callee and each.defined}
        sources = [each for each in self.symbols if each.name.partition(".")[0] in callers and each.code]
        if not targets or not sources:
            return None
        return any(target in targets for each in sources for target in _targets(each))

    def _read(self, kind: int) -> Iterator[Symbol]:
        (offset,) = struct.unpack_from("<Q", self._data, 40)
        size, count = struct.unpack_from("<HH", self._data, 58)
        headers = [SECTION_HEADER.unpack_from(self._data, offset + i * size) for i in range(count)] if offset else []
        for header in (each for each in headers if each[1] == kind):
            names = headers[header[6]]
            for at in range(header[4], header[4] + header[5], _SYMBOL.size):
                yield self._symbol(headers, names[4], _SYMBOL.unpack_from(self._data, at))

    def _symbol(self, headers: list[tuple[int, ...]], names: int, entry: tuple[int, ...]) -> Symbol:
        name, _, _, section, value, size = entry
        start = names + name
        text = self._data[start : self._data.index(b"\0", start)].decode()
        code = b""
        if 0 < section < len(headers) and size:
            begin = headers[section][4] + value - headers[section][3]
            code = self._data[begin : begin + size]
        return Symbol(text, value, section != 0, code)


def _targets(symbol: Symbol) -> Iterator[int]:
    """Of each place that may be a call; most are in the middle of something else, and lead nowhere in particular."""
    for at in range(len(symbol.code) - 4):
        if symbol.code[at] in CALLS:
            (relative,) = struct.unpack_from("<i", symbol.code, at + 1)
            yield symbol.address + at + 5 + relative
