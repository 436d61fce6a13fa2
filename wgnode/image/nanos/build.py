"""Make a gateway's image for Nanos: the appliance's own files, the users' parts, and Nanos' mkfs."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wgnode.image import cpio
from wgnode.image.errors import ImageError
from wgnode.image.nanos.manifest import KLIBS, manifest
from wgnode.image.nanos.parts import Finding, Parts, checked, kernel_version
from wgnode.nanos.words import Environment

NOT_FOR_NANOS = ("init", "service", "lib/modules", "dev", "proc", "sys")
"""Of the appliance's files: what only Linux boots."""
MKFS_PATIENCE = 300.0
"""Seconds; it takes less than one."""


@dataclass(frozen=True)
class NanosImage:
    """A raw disk image. mkfs gives each a random UUID, so two of the same inputs differ; `manifest` is its digest."""

    path: str
    sha256: str
    size: int
    manifest: str
    kernel: str


class PartsMissing(ImageError):
    """Some of Nanos' parts are missing or wrong."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        super().__init__("; ".join(f"{each.part}: {each.said}; {each.how}" for each in findings))


def of_appliance(archive: bytes) -> dict[str, bytes]:
    """Of an appliance's initial file system (cpio) what the node needs on Nanos too, by path. Raises ImageError.

    The node's byte code is the same for both: its platform for Nanos is in every image.
    """
    files = {
        path: entry.data
        for path, entry in cpio.unpack(archive)
        if stat.S_ISREG(entry.mode) and not f"{path}/".startswith(tuple(f"{each}/" for each in NOT_FOR_NANOS))
    }
    if not any("/wgnode/appliance/nanos." in path for path in files):
        raise ImageError("this image is older than the node's platform for Nanos; build it anew (wgnode image build)")
    return files


def mkfs_arguments(mkfs: str, boot: str, kernel: str, output: str) -> list[str]:
    """As tools/mkfs.c has them; the manifest is its standard input."""
    return [mkfs, "-b", boot, "-k", kernel, output]


def build(told: Environment, files: Mapping[str, bytes], parts: Parts, output: Path) -> NanosImage:
    """Write `output`, whole or not at all. Raises PartsMissing, ImageError."""
    if wrong := [each for each in checked(parts) if each.stops]:
        raise PartsMissing(wrong)
    version = kernel_version(parts)
    text = _manifest(told, files, version)
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.{os.getpid()}").resolve()
    with tempfile.TemporaryDirectory(prefix="wgnode-nanos-") as name:
        try:
            _run_mkfs(Path(name), text, files, parts, partial)
            digest, size = _sha256(partial), partial.stat().st_size
            os.replace(partial, output)
        finally:
            partial.unlink(missing_ok=True)
    return NanosImage(str(output), digest, size, hashlib.sha256(text.encode()).hexdigest(), version)


def _manifest(told: Environment, files: Mapping[str, bytes], version: str) -> str:
    try:
        return manifest(told, files, version)
    except ValueError as error:
        raise ImageError(str(error)) from None


def _run_mkfs(folder: Path, text: str, files: Mapping[str, bytes], parts: Parts, output: Path) -> None:
    """In a folder of its own, where every path is short, whatever the parts' are."""
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    brought = parts.brought()
    (folder / "klib").mkdir()
    for name in KLIBS:
        shutil.copyfile(brought["klibs"] / name, folder / "klib" / name)
    shutil.copyfile(brought["kernel"], folder / "kernel.img")
    shutil.copyfile(brought["boot"], folder / "boot.img")
    arguments = mkfs_arguments(str(brought["mkfs"].resolve()), "boot.img", "kernel.img", str(output))
    try:
        done = subprocess.run(
            arguments, cwd=folder, input=text.encode(), capture_output=True, timeout=MKFS_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ImageError(f"Nanos' mkfs: {error}") from None
    if done.returncode or not output.is_file() or not output.stat().st_size:
        told = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise ImageError(f"Nanos' mkfs failed ({done.returncode}): {told[-500:]}")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
