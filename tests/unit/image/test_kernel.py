import gzip
import lzma
import struct

import pytest
import zstandard

from wgnode.image import elf, kernel
from wgnode.image.errors import ImageError


def program(*, notes: bytes = b"", text: bytes = b"code") -> bytes:
    """A small ELF: a load segment, a note, and something after them that nobody loads."""
    start = 64 + 2 * 56
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 9999, 0, 64, 56, 2, 64, 5, 4)
    load = elf.PROGRAM_HEADER.pack(elf.PT_LOAD, 5, start, 0, 0, len(text), len(text), 1)
    note = elf.PROGRAM_HEADER.pack(elf.PT_NOTE, 4, start + len(text), 0, 0, len(notes), len(notes), 1)
    return header + load + note + text + notes + b"symbols and debug information"


def bzimage(vmlinux: bytes, size: int | None = None) -> bytes:
    payload = zstandard.compress(vmlinux) + struct.pack("<I", len(vmlinux) if size is None else size)
    setup = bytearray(5 * 512)
    setup[0x1F1], setup[0x202:0x206] = 4, b"HdrS"
    struct.pack_into("<II", setup, 0x248, 16, len(payload))
    return bytes(setup) + bytes(16) + payload


def test_the_elf_is_taken_out_of_the_boot_image() -> None:
    assert kernel.extract_vmlinux(bzimage(program())) == program()


def test_a_boot_image_of_another_kind_is_refused() -> None:
    with pytest.raises(ImageError, match="no boot header"):
        kernel.extract_vmlinux(bytes(4096))
    with pytest.raises(ImageError, match="its header says 5"):
        kernel.extract_vmlinux(bzimage(program(), 5))


def test_an_image_of_arm64_is_taken_as_it_is_or_unpacked_and_nothing_else_is() -> None:
    image = b"MZ" + bytes(0x36) + b"ARM\x64" + b"kernel"
    assert kernel.arm64_image(image) == kernel.arm64_image(gzip.compress(image)) == image
    with pytest.raises(ImageError, match="no Image of arm64"):
        kernel.arm64_image(bzimage(program()))


def test_only_what_is_loaded_stays_of_an_elf() -> None:
    small = elf.loadable(program(notes=b"PVH"))
    assert small.endswith(b"codePVH")
    assert elf.segments(small) == elf.segments(program(notes=b"PVH"))


def module(depends: str) -> bytes:
    """An ELF with one named section, .modinfo."""
    names, info = b"\0.shstrtab\0.modinfo\0", b"license=GPL\0depends=" + depends.encode() + b"\0name=x\0"
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, 64 + len(names) + len(info), 0, 64, 56, 0, 64, 3, 1)
    sections = elf.SECTION_HEADER.pack(*[0] * 10)
    sections += elf.SECTION_HEADER.pack(1, 3, 0, 0, 64, len(names), 0, 0, 1, 0)
    sections += elf.SECTION_HEADER.pack(11, 1, 0, 0, 64 + len(names), len(info), 0, 0, 1, 0)
    return header + names + info + sections


def test_modules_come_after_what_they_depend_on_and_only_if_wanted() -> None:
    depends = {"virtio_net": "net-failover", "net_failover": "failover", "failover": "", "wireguard": ""}
    packed = {name: lzma.compress(module(on)) for name, on in depends.items()}
    assert list(kernel._in_order(packed, ("virtio_net",))) == ["failover", "net_failover", "virtio_net"]


def test_a_missing_module_is_named() -> None:
    with pytest.raises(ImageError, match="no module tun"):
        kernel._in_order({}, ("tun",))
