"""Build the appliance image: one deterministic tar of vmlinux, initramfs.zst and manifest.json.

The same inputs (image.lock with the compiled data plane that it pins, requirements.lock, our sources, this builder)
give the same bytes on any machine, whoever builds there.
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

from wgnode.image import apt, budget, cpio, extension, lock, renew, traced, wheels
from wgnode.image.architecture import AMD64, Architecture, of_this_machine
from wgnode.image.archive import Members, pack, read_members, write_archive
from wgnode.image.contents import initial_files
from wgnode.image.errors import ImageError
from wgnode.image.guest_python import VERSION
from wgnode.image.inputs import WGNODE, Inputs, is_kernel
from wgnode.image.kernel import Kernel
from wgnode.image.variants import Variant

COMPRESSION_LEVEL = 19
"""8.7 MiB, within the budget, for half a minute of one processor; level 9 takes a second or two for 9.7 MiB."""
PROJECT = WGNODE.parent
Report = Callable[[str], None]


@dataclass(frozen=True)
class Built:
    """An image file. `renewed` tells that packages newer than image.lock's went into it."""

    path: str
    name: str
    sha256: str
    size: int
    inputs: str
    renewed: bool
    fresh: bool
    """False when a finished image of the same inputs was already there."""


def cache_directory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wgnode"


def build(
    output: Path,
    lock_file: Path,
    requirements_file: Path,
    *,
    variant: Variant = Variant.PINNED,
    architecture: Architecture = AMD64,
    fastpath_wheel: Path | None = None,
    renew_if_gone: bool = False,
    report: Report = print,
) -> Built:
    """Build `output`, or leave it when it is already the image of these inputs. Raises ImageError.

    The compiled data plane comes from `fastpath_wheel`, or is the one that is installed here; ExtensionError where it
    is not the one that image.lock pins, unless the variant is one that does without.
    """
    inputs = Inputs.read(lock_file, requirements_file, variant, architecture)
    requested = inputs.digest
    if (done := finished(output, requested, renew_if_gone)) is not None:
        report(f"image: {output} is up to date")
        return done
    if _brought(output, inputs):
        return _stamped(output, _sha256(output), inputs, requested, report, renewed=False, fresh=False)
    files = _extension_files(inputs, fastpath_wheel)
    inputs, debs, renewed = _packages(inputs, renew_if_gone, report)
    source = here = _source(inputs, debs)
    if architecture is not of_this_machine():
        of_here = Inputs.read(lock_file, requirements_file, Variant.PLAIN, of_this_machine())
        here = _source(*_packages(of_here.without_kernel(), renew_if_gone, report)[:2])
    members = _members(inputs, files, debs, source, here, report)
    output.parent.mkdir(parents=True, exist_ok=True)
    sha256 = write_archive(output, members)
    return _stamped(output, sha256, inputs, requested, report, renewed=renewed, fresh=True)


def _extension_files(inputs: Inputs, wheel: Path | None) -> dict[str, bytes]:
    """What goes in, of the digest in `inputs`."""
    if inputs.variant is Variant.PLAIN:
        return {}
    files = extension.files_of(wheel) if wheel else extension.files()
    if inputs.variant is Variant.PINNED:
        extension.require_pinned(files, inputs.pinned, f"in {wheel}" if wheel else "installed here")
    elif not files:
        raise ImageError(f"{extension.PACKAGE} is not installed here; `make setup` builds it, or says why it can't")
    elif inputs.extension == inputs.pinned.files:
        raise ImageError(f"the {extension.PACKAGE} installed here is the pinned one: leave --local-fastpath out")
    return files


def _packages(inputs: Inputs, renew_if_gone: bool, report: Report) -> tuple[Inputs, dict[str, Path], bool]:
    """The packages' files, and whether they are newer ones than image.lock's, which the inputs then tell as well."""
    cache = cache_directory()
    mirrors = apt.machine_mirrors()
    try:
        return inputs, _fetch(inputs.packages, mirrors, cache, report), False
    except apt.GoneError as error:
        if not renew_if_gone:
            raise
        report(f"image: WARNING: {error}")
        report(
            "image: WARNING: building from newer packages instead, verified by Debian's signatures, not by image.lock"
        )
        packages = renew.renewed(cache, mirrors, report, inputs.architecture)
        return replace(inputs, packages=packages), _fetch(packages, mirrors, cache, report), True


def _stamped(
    output: Path, sha256: str, inputs: Inputs, requested: str, report: Report, *, renewed: bool, fresh: bool
) -> Built:
    built = Built(str(output), inputs.name, sha256, output.stat().st_size, requested, renewed, fresh)
    _stamp(output).write_text(json.dumps(asdict(built), sort_keys=True))
    came = "" if fresh else ", brought here from another machine"
    report(f"image: {output}: {built.name}, {built.size / 2**20:.1f} MiB, sha256 {sha256}{came}")
    return built


def _brought(output: Path, inputs: Inputs) -> bool:
    """Whether somebody has put just this image there: whole, and made of these inputs, as it says itself."""
    try:
        members = read_members(output)
    except ImageError:
        return False
    made_of = (members.description.get("inputs"), members.description.get("name"))
    return made_of == (inputs.digest, inputs.name) and output.read_bytes() == pack(members)


def _stamp(output: Path) -> Path:
    return output.with_name(output.name + ".stamp")


def outdated(output: Path, requested: str) -> bool:
    """Whether it was built here, of other inputs than these."""
    try:
        stamp = json.loads(_stamp(output).read_text())
        return bool(stamp["inputs"] != requested and stamp["sha256"] == _sha256(output))
    except (OSError, ValueError, TypeError, KeyError):
        return False


def finished(output: Path, requested: str, accept_renewed: bool) -> Built | None:
    """What was built here, as long as it is of these inputs and nobody has touched it."""
    try:
        stamp = Built(**json.loads(_stamp(output).read_text()))
        if stamp.inputs != requested or (stamp.renewed and not accept_renewed):
            return None
        if _sha256(output) != stamp.sha256:
            return None
    except (OSError, ValueError, TypeError):
        return None
    return Built(**{**asdict(stamp), "path": str(output), "fresh": False})


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fetch(packages: list[lock.Package], mirrors: apt.Mirrors, cache: Path, report: Report) -> dict[str, Path]:
    debs = {}
    for number, package in enumerate(packages, 1):
        if not apt.cached(package, cache / "debs"):
            report(f"image: fetching {package.name} {package.version} ({number} of {len(packages)})")
        debs[package.name] = apt.fetch(package, mirrors, cache / "debs")
    return debs


def _source(inputs: Inputs, debs: dict[str, Path]) -> traced.Source:
    return traced.Source(
        inputs.architecture,
        [deb for name, deb in debs.items() if not is_kernel(name)],
        {package.name: package.version for package in inputs.packages},
        wheels.fetch(inputs.requirements, cache_directory() / "wheels", inputs.architecture),
    )


def _members(
    inputs: Inputs,
    files: dict[str, bytes],
    debs: dict[str, Path],
    source: traced.Source,
    here: traced.Source,
    report: Report,
) -> Members:
    kernels = [name for name in debs if is_kernel(name)]
    if len(kernels) != 1:
        raise ImageError(f"image.lock holds {len(kernels)} kernel packages instead of one")
    report(f"image: unpacking the kernel ({kernels[0]})")
    kernel = Kernel(debs[kernels[0]], inputs.architecture)
    if inputs.variant is not Variant.PINNED:
        report(f"image: {inputs.name} is {inputs.variant.about}")
    by = "" if here == source else f" of {here.architecture.name}"
    report(f"image: tracing what the node imports, compiling it with the appliance's interpreter{by}")
    with tempfile.TemporaryDirectory(prefix="wgnode-image-") as work:
        pyc, binaries = traced.files(source, here, files, WGNODE, Path(work))
    description = _description(inputs, kernels[0], source.wheels)
    described = json.dumps(description, sort_keys=True).encode()
    entries = initial_files(pyc, binaries, kernel.modules, kernel.optional, described)
    report(f"image: packing {len(entries)} entries")
    initramfs = compress(cpio.pack(entries))
    report(f"image: {budget.require(initramfs)}")
    return Members(kernel.vmlinux, initramfs, description)


def _description(inputs: Inputs, kernel: str, wheel_files: list[Path]) -> dict[str, object]:
    return {
        "format": 1,
        "name": inputs.name,
        "version": version("wgnode"),
        "inputs": inputs.digest,
        "architecture": inputs.architecture.name,
        "kernel": kernel.removeprefix("linux-image-"),
        "python": VERSION,
        "packages": {package.name: package.version for package in inputs.packages},
        "wheels": [wheel.name for wheel in wheel_files],
        "extension": inputs.extension,
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
