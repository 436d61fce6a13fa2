"""What an image is called by the data plane inside: a gateway gets another kind of image only under another name. Pure.

The image that everybody who builds gets has the compiled data plane that image.lock pins, byte for byte. On a machine
that can't make that, others can be built under names of their own (docs/decisions/pinned-extension.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from wgnode.image.architecture import AMD64, ARCHITECTURES, Architecture


class Variant(Enum):
    """The value is what is added to the image's name and to its file's."""

    PINNED = ""
    LOCAL = "-local"
    PLAIN = "-plain"

    @property
    def file_name(self) -> str:
        return self.file_of(AMD64)

    def file_of(self, architecture: Architecture) -> str:
        return f"appliance{self.value}{architecture.suffix}.tar"

    def image_name(self, version: str, architecture: Architecture = AMD64) -> str:
        return f"wgnode-{version}{self.value}{architecture.suffix}"

    @property
    def about(self) -> str:
        return _ABOUT[self]


_ABOUT = {
    Variant.PINNED: "with the compiled data plane that image.lock pins",
    Variant.LOCAL: "with a compiled data plane by other compilers than image.lock pins",
    Variant.PLAIN: "without the compiled data plane: packets are moved by plain Python, several times slower",
}


def image_name(manifest: Mapping[str, object]) -> str:
    """The name in an image's manifest.json; of an image from before there were names, the one that it would have."""
    if isinstance(name := manifest.get("name"), str):
        return name
    variant = Variant.PINNED if manifest.get("extension") else Variant.PLAIN
    return variant.image_name(str(manifest.get("version", "unknown")))


def variant_of_file(name: str) -> Variant:
    """Of a file by its name, as `wgnode image build` names it."""
    every = [(each, architecture) for each in Variant for architecture in ARCHITECTURES.values()]
    return next((each for each, architecture in every if each.file_of(architecture) == name), Variant.PINNED)


def variant_of(name: str) -> Variant:
    """Of an image by its name."""
    kind = name.removesuffix(architecture_of(name).suffix)
    return next((each for each in (Variant.LOCAL, Variant.PLAIN) if kind.endswith(each.value)), Variant.PINNED)


def architecture_of(name: str) -> Architecture:
    """Of an image by its name."""
    return next((each for each in ARCHITECTURES.values() if each.suffix and name.endswith(each.suffix)), AMD64)
