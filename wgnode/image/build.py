"""Build the appliance image: one deterministic tar of vmlinux, initramfs.zst and manifest.json.

The same inputs (image.lock, requirements.lock, our sources and extension, this builder) give the same bytes on any
machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import zstandard

from wgnode.image import apt, cpio, extension, lock, renew, wheels
from wgnode.image.archive import Members, read_members, write_archive
from wgnode.image.contents import initial_files
from wgnode.image.errors import ImageError
from wgnode.image.guest_python import BINARY, OURS, VERSION, GuestPython, always_needed
from wgnode.image.kernel import Kernel

COMPRESSION_LEVEL = 9
"""One second and 9.1 MiB; level 19 takes seventeen for 8.1 MiB, beside a kernel of 54 MiB."""
WGNODE = Path(__file__).resolve().parents[1]
PROJECT = WGNODE.parent
Report = Callable[[str], None]


@dataclass(frozen=True)
class Built:
    """An image file. `renewed` tells that packages newer than image.lock's went into it."""

    path: str
    sha256: str
    size: int
    inputs: str
    renewed: bool
    fresh: bool
    """False when a finished image of the same inputs was already there."""


@dataclass(frozen=True)
class Inputs:
    """What the image depends on, all of it text or our own sources."""

    packages: list[lock.Package]
    requirements: str
    lock_text: str
    extension: dict[str, bytes]
    """The compiled data plane's files; none where it is not installed."""

    @classmethod
    def read(cls, lock_file: Path, requirements_file: Path) -> Inputs:
        for file in (lock_file, requirements_file):
            if not file.is_file():
                raise ImageError(f"{file} does not exist; the image is built from a clone of the project")
        text = lock_file.read_text()
        try:
            packages = lock.parse(text)
        except lock.LockError as error:
            raise ImageError(str(error)) from None
        return cls(packages, wheels.pinned(requirements_file.read_text()), text, extension.files())

    @property
    def digest(self) -> str:
        """SHA-256, hex, over everything that decides the image's bytes."""
        parts = {
            "packages": lock.render(self.packages),
            "requirements": self.requirements,
            "extension": extension.digest(self.extension),
            "version": version("wgnode"),
            "zstandard": zstandard.__version__,
            **{str(path.relative_to(WGNODE)): path.read_text() for path in _sources()},
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def cache_directory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wgnode"


def build(
    output: Path, lock_file: Path, requirements_file: Path, *, renew_if_gone: bool = False, report: Report = print
) -> Built:
    """Build `output`, or leave it when it is already the image of these inputs. Raises ImageError."""
    inputs = Inputs.read(lock_file, requirements_file)
    requested = inputs.digest
    if (done := _finished(output, requested, renew_if_gone)) is not None:
        report(f"image: {output} is up to date")
        return done
    cache = cache_directory()
    mirrors = apt.machine_mirrors()
    renewed = False
    try:
        debs = _fetch(inputs.packages, mirrors, cache, report)
    except apt.GoneError as error:
        if not renew_if_gone:
            raise
        report(f"image: WARNING: {error}")
        report(
            "image: WARNING: building from newer packages instead, verified by Debian's signatures, not by image.lock"
        )
        packages = renew.renewed(cache, mirrors, report)
        inputs, renewed = replace(inputs, packages=packages, lock_text=lock.render(packages)), True
        debs = _fetch(packages, mirrors, cache, report)
    members = _members(inputs, debs, wheels.fetch(inputs.requirements, cache / "wheels"), report)
    output.parent.mkdir(parents=True, exist_ok=True)
    sha256 = write_archive(output, members)
    built = Built(str(output), sha256, output.stat().st_size, requested, renewed, fresh=True)
    _stamp(output).write_text(json.dumps(asdict(built), sort_keys=True))
    report(f"image: {output}: {built.size / 2**20:.1f} MiB, sha256 {sha256}")
    return built


def _sources() -> list[Path]:
    """Our sources that go into the image, and the builder's."""
    folders = [WGNODE / name for name in (*OURS, "image")]
    files = [path for folder in folders if folder.is_dir() for path in folder.rglob("*.py")]
    return sorted([*files, WGNODE / "__init__.py", WGNODE / "nodeconfig.py"])


def _stamp(output: Path) -> Path:
    return output.with_name(output.name + ".stamp")


def _finished(output: Path, requested: str, accept_renewed: bool) -> Built | None:
    try:
        stamp = Built(**json.loads(_stamp(output).read_text()))
        if stamp.inputs != requested or (stamp.renewed and not accept_renewed):
            return None
        if hashlib.sha256(output.read_bytes()).hexdigest() != stamp.sha256:
            return None
    except (OSError, ValueError, TypeError):
        return None
    return Built(**{**asdict(stamp), "path": str(output), "fresh": False})


def _fetch(packages: list[lock.Package], mirrors: apt.Mirrors, cache: Path, report: Report) -> dict[str, Path]:
    debs = {}
    for number, package in enumerate(packages, 1):
        if not apt.cached(package, cache / "debs"):
            report(f"image: fetching {package.name} {package.version} ({number} of {len(packages)})")
        debs[package.name] = apt.fetch(package, mirrors, cache / "debs")
    return debs


def _members(inputs: Inputs, debs: dict[str, Path], wheel_files: list[Path], report: Report) -> Members:
    kernels = [name for name in debs if name.startswith("linux-image-")]
    if len(kernels) != 1:
        raise ImageError(f"image.lock holds {len(kernels)} kernel packages instead of one")
    report(f"image: unpacking the kernel ({kernels[0]})")
    kernel = Kernel(debs[kernels[0]])
    with tempfile.TemporaryDirectory(prefix="wgnode-image-") as work:
        python = GuestPython(Path(work, "root"))
        if not inputs.extension:
            report("image: without the compiled data plane, which is not installed here; gateways run on plain Python")
        report("image: tracing what the node imports, compiling it with the appliance's interpreter")
        python.unpack([deb for name, deb in debs.items() if name not in kernels])
        wheels.extract(wheel_files, python.site)
        extension.write(inputs.extension, python.site)
        python.add_our_code(WGNODE)
        sources, extensions = python.traced()
        pyc = python.compiled(sorted({*sources, *always_needed()}), Path(work, "pyc"))
        binaries = python.with_libraries([BINARY, *extensions])
    description = _description(inputs, kernels[0], wheel_files)
    described = json.dumps(description, sort_keys=True).encode()
    files = initial_files(pyc, binaries, kernel.modules, kernel.optional, described)
    report(f"image: packing {len(files)} entries")
    initramfs = compress(cpio.pack(files))
    return Members(kernel.vmlinux, initramfs, description)


def _description(inputs: Inputs, kernel: str, wheel_files: list[Path]) -> dict[str, object]:
    return {
        "format": 1,
        "version": version("wgnode"),
        "inputs": inputs.digest,
        "kernel": kernel.removeprefix("linux-image-"),
        "python": VERSION,
        "packages": {package.name: package.version for package in inputs.packages},
        "wheels": [wheel.name for wheel in wheel_files],
        "extension": extension.digest(inputs.extension),
    }


def compress(archive: bytes) -> bytes:
    """zstd, padded to 512 bytes: the kernel looks for an uncompressed part only at a multiple of 4."""
    packed = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=False).compress(archive)
    return packed + bytes(-len(packed) % 512)


def listing(image: Path) -> list[str]:
    """What is in an image's initial file system, one line an entry, like `ls -l`."""
    members = read_members(image)
    archive = zstandard.ZstdDecompressor().decompressobj().decompress(members.initramfs)
    return [f"{stat.filemode(entry.mode)} {len(entry.data):>9} {path}" for path, entry in cpio.unpack(archive)]
