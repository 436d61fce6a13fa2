"""The processors that an image can be of, and what Debian, Python's wheels and the C library call them. Pure."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from wgnode.image.errors import ImageError


@dataclass(frozen=True)
class Architecture:
    """`name` is dpkg's, `machine` is uname's, `loader` is the dynamic loader's path in a file system."""

    name: str
    machine: str
    loader: str

    @property
    def triplet(self) -> str:
        """GNU's name, as in Debian's folders and in the names of Python's extension modules."""
        return f"{self.machine}-linux-gnu"

    @property
    def libraries(self) -> tuple[str, ...]:
        return (f"usr/lib/{self.triplet}", "usr/lib64", "usr/lib")

    @property
    def kernel(self) -> str:
        """Debian's package that depends on the newest kernel for virtual machines."""
        return f"linux-image-cloud-{self.name}"

    @property
    def suffix(self) -> str:
        """What an image's name and its file's end with; nothing where it is what there always was."""
        return "" if self is AMD64 else f"-{self.name}"


AMD64 = Architecture("amd64", "x86_64", "lib64/ld-linux-x86-64.so.2")
ARM64 = Architecture("arm64", "aarch64", "lib/ld-linux-aarch64.so.1")
ARCHITECTURES = {each.name: each for each in (AMD64, ARM64)}
COMPILED = (AMD64,)
"""Those that the compiled data plane is pinned for (image.lock); images of others are plain."""


def of_this_machine() -> Architecture:
    """Whose programs run here. Raises ImageError."""
    for each in ARCHITECTURES.values():
        if each.machine == platform.machine():
            return each
    raise ImageError(f"an image can't be built on {platform.machine()}: build it on {' or '.join(ARCHITECTURES)}")
