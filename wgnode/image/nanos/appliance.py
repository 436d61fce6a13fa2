"""The appliance image as a file, of which the node's files go into an image for Nanos."""

from __future__ import annotations

from pathlib import Path

import zstandard

from wgnode.image.archive import read_members
from wgnode.image.errors import ImageError
from wgnode.image.nanos.build import of_appliance


def appliance_files(image: Path) -> dict[str, bytes]:
    """By path. Raises ImageError."""
    members = read_members(image)
    try:
        return of_appliance(zstandard.ZstdDecompressor().decompressobj().decompress(members.initramfs))
    except ImageError as error:
        raise ImageError(f"{image}: {error}") from None
