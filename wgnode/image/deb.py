"""Read Debian packages: an ar archive with a compressed tar of the files inside. No root, no dpkg."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import zstandard

from wgnode.image.errors import ImageError


def files(deb: Path) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """Members of the package in their order, each with the open archive to extract it from."""
    name, data = _data_member(deb)
    if name.endswith(".zst"):
        stream: io.BufferedIOBase = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data))  # type: ignore[assignment]
        archive = tarfile.open(fileobj=stream, mode="r|")  # noqa: SIM115
    else:
        archive = tarfile.open(fileobj=io.BytesIO(data), mode="r|*")  # noqa: SIM115
    with archive:
        for member in archive:
            member.name = member.name.removeprefix("./")
            yield member, archive


def _data_member(deb: Path) -> tuple[str, bytes]:
    content = deb.read_bytes()
    if not content.startswith(b"!<arch>\n"):
        raise ImageError(f"{deb.name} is no Debian package")
    offset = 8
    while offset + 60 <= len(content):
        name = content[offset : offset + 16].decode().strip().rstrip("/")
        size = int(content[offset + 48 : offset + 58])
        if name.startswith("data.tar"):
            return name, content[offset + 60 : offset + 60 + size]
        offset += 60 + size + size % 2
    raise ImageError(f"{deb.name} has no data.tar")
