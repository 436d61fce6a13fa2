"""The image file: a tar with vmlinux, initramfs.zst and manifest.json, the same bytes for the same content."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wgnode.image.errors import ImageError

VMLINUX, INITRAMFS, MANIFEST = "vmlinux", "initramfs.zst", "manifest.json"


@dataclass(frozen=True)
class Members:
    vmlinux: bytes
    initramfs: bytes
    description: Mapping[str, object]

    @property
    def manifest(self) -> bytes:
        """The description with the size and SHA-256 of the other two."""
        files = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in ((VMLINUX, self.vmlinux), (INITRAMFS, self.initramfs))
        }
        return json.dumps({**self.description, "files": files}, sort_keys=True, indent=1).encode() + b"\n"


def pack(members: Members) -> bytes:
    """The image file's content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in ((MANIFEST, members.manifest), (VMLINUX, members.vmlinux), (INITRAMFS, members.initramfs)):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def write_archive(output: Path, members: Members) -> str:
    """Write `output` atomically. Returns its SHA-256 in hex."""
    content = pack(members)
    partial = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        os.replace(partial, output)
    finally:
        partial.unlink(missing_ok=True)
    return hashlib.sha256(content).hexdigest()


def read_members(image: Path) -> Members:
    """Raises ImageError for anything that is no image, or one whose parts do not match its manifest."""
    try:
        with tarfile.open(image, "r:") as archive:
            parts = {name: archive.extractfile(name).read() for name in (MANIFEST, VMLINUX, INITRAMFS)}  # type: ignore[union-attr]
        manifest = json.loads(parts[MANIFEST])
        wanted = {name: manifest["files"][name]["sha256"] for name in (VMLINUX, INITRAMFS)}
    except (OSError, tarfile.TarError, KeyError, ValueError, TypeError) as error:
        raise ImageError(f"{image} is no appliance image: {error}") from None
    for name, sha256 in wanted.items():
        if hashlib.sha256(parts[name]).hexdigest() != sha256:
            raise ImageError(f"{image} is damaged: {name} does not match its manifest")
    del manifest["files"]
    return Members(parts[VMLINUX], parts[INITRAMFS], manifest)
