"""How large an image may be. One that is larger is not built."""

from __future__ import annotations

from wgnode.image.errors import ImageError

INITRAMFS = 9 << 20
"""Bytes, compressed: it is sent to each host, and read and unpacked at each boot."""


def require(initramfs: bytes, most: int = INITRAMFS) -> str:
    """The figure, for a person. Raises ImageError."""
    size = len(initramfs)
    if size > most:
        raise ImageError(
            f"the initial file system is {mib(size)} compressed, {size - most} bytes over its budget of {mib(most)}"
            " (wgnode/image/budget.py); `wgnode image diff` with an image from before shows what has come"
        )
    return f"initial file system {mib(size)} of {mib(most)}"


def mib(size: int) -> str:
    return f"{size / 2**20:.2f} MiB"
