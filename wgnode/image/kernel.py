"""The kernel of the appliance, out of Debian's package: what QEMU boots directly, and the modules it needs."""

from __future__ import annotations

import gzip
import lzma
import struct
from pathlib import Path, PurePosixPath

import zstandard

from wgnode.image import deb, elf
from wgnode.image.architecture import AMD64, Architecture
from wgnode.image.errors import ImageError

MODULES = ("virtio_mmio", "virtio_rng", "virtio_net", "tun", "softdog")
"""What PID 1 loads, in this order after what they depend on; the rest of what we use is built in."""
OPTIONAL = {"masquerade": ("nft_chain_nat", "nft_masq", "nft_ct")}
"""What it loads only when the configuration asks for it, by what asks."""
ZSTD_MAGIC, GZIP_MAGIC = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"


class Kernel:
    """`vmlinux`: on amd64 an ELF with a PVH entry point, on arm64 an uncompressed Image. `modules`: name to
    decompressed .ko, in loading order.

    `optional` has by name of an option the modules that it needs beyond these.
    """

    def __init__(self, package: Path, architecture: Architecture = AMD64) -> None:
        image, compressed = _read(package)
        self.vmlinux = elf.loadable(extract_vmlinux(image)) if architecture is AMD64 else arm64_image(image)
        self.modules = _in_order(compressed, MODULES)
        self.optional = {
            option: {name: data for name, data in _in_order(compressed, wanted).items() if name not in self.modules}
            for option, wanted in OPTIONAL.items()
        }


def modules_of(package: Path, wanted: tuple[str, ...]) -> dict[str, bytes]:
    """Other modules of a kernel package, decompressed, with what they depend on, in loading order."""
    return _in_order(_read(package)[1], wanted)


def extract_vmlinux(bzimage: bytes) -> bytes:
    """The ELF inside a bzImage, by its setup header (Documentation/arch/x86/boot.rst, protocol 2.08)."""
    if bzimage[0x202:0x206] != b"HdrS":
        raise ImageError("the kernel package's vmlinuz has no boot header")
    setup_sectors = bzimage[0x1F1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = bzimage[start : start + length]
    if payload[:4] != ZSTD_MAGIC:
        raise ImageError(f"the kernel is compressed with something else than zstd ({payload[:4].hex()})")
    (size,) = struct.unpack("<I", payload[-4:])
    vmlinux = zstandard.ZstdDecompressor().decompressobj().decompress(payload[:-4])
    if len(vmlinux) != size or vmlinux[:4] != b"\x7fELF":
        raise ImageError(f"the kernel unpacks to {len(vmlinux)} bytes, its header says {size}")
    return vmlinux


def arm64_image(image: bytes) -> bytes:
    """Unpacked where it is packed, as QEMU wants it (Documentation/arch/arm64/booting.rst)."""
    if image[:2] == GZIP_MAGIC:
        image = gzip.decompress(image)
    if image[0x38:0x3C] != b"ARM\x64":
        raise ImageError("the kernel package's vmlinuz is no Image of arm64")
    return image


def _read(package: Path) -> tuple[bytes, dict[str, bytes]]:
    """vmlinuz, and every module's compressed bytes by name."""
    image = b""
    modules: dict[str, bytes] = {}
    for member, archive in deb.files(package):
        path = PurePosixPath(member.name)
        if not member.isreg():
            continue
        if path.parent.name == "boot" and path.name.startswith("vmlinuz-"):
            image = archive.extractfile(member).read()  # type: ignore[union-attr]
        elif path.name.endswith(".ko.xz"):
            modules[_module_name(path.name)] = archive.extractfile(member).read()  # type: ignore[union-attr]
    if not image:
        raise ImageError(f"{package.name} holds no /boot/vmlinuz-*")
    return image, modules


def _module_name(file_name: str) -> str:
    return file_name.split(".ko", 1)[0].replace("-", "_")


def _in_order(compressed: dict[str, bytes], wanted: tuple[str, ...]) -> dict[str, bytes]:
    """The wanted modules and their dependencies, each after what it depends on."""
    ordered: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in ordered:
            return
        if name not in compressed:
            raise ImageError(f"the kernel package has no module {name}")
        module = lzma.decompress(compressed[name])
        for dependency in filter(None, elf.modinfo(module).get("depends", "").split(",")):
            add(dependency.replace("-", "_"))
        ordered[name] = module

    for name in wanted:
        add(name)
    return ordered
