"""What decides an image's bytes, all of it text or our own sources."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import zstandard

from wgnode.image import extension, lock, wheels
from wgnode.image.architecture import AMD64, COMPILED, Architecture
from wgnode.image.errors import ImageError
from wgnode.image.guest_python import OURS
from wgnode.image.variants import Variant

WGNODE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Inputs:
    """Of one image."""

    packages: list[lock.Package]
    requirements: str
    pinned: lock.Extension
    variant: Variant = Variant.PINNED
    extension: str = ""
    """The digest of the compiled data plane's files; "" for none."""
    architecture: Architecture = AMD64

    @classmethod
    def read(
        cls,
        lock_file: Path,
        requirements_file: Path,
        variant: Variant = Variant.PINNED,
        architecture: Architecture = AMD64,
    ) -> Inputs:
        if variant is not Variant.PLAIN and architecture not in COMPILED:
            raise ImageError(f"there is no compiled data plane for {architecture.name}: its image is a plain one")
        for file in (lock_file, requirements_file):
            if not file.is_file():
                raise ImageError(f"{file} does not exist; the image is built from a clone of the project")
        text = lock_file.read_text(encoding="utf-8")
        try:
            packages, pinned = lock.parse(text, architecture.name), lock.parse_extension(text)
        except lock.LockError as error:
            raise ImageError(str(error)) from None
        requirements = wheels.pinned(requirements_file.read_text(encoding="utf-8"))
        known = {Variant.PINNED: pinned.files, Variant.PLAIN: ""}  # before anybody has looked what there is here
        digest = known[variant] if variant in known else extension.digest(extension.files())
        return cls(packages, requirements, pinned, variant, digest, architecture)

    def without_kernel(self) -> Inputs:
        return replace(self, packages=[package for package in self.packages if not is_kernel(package.name)])

    @property
    def name(self) -> str:
        return self.variant.image_name(version("wgnode"), self.architecture)

    @property
    def digest(self) -> str:
        """SHA-256, hex, over everything that decides the image's bytes."""
        parts = {
            "packages": lock.render(self.packages),
            "requirements": self.requirements,
            "extension": self.extension,
            "architecture": self.architecture.name,
            "name": self.name,
            "zstandard": zstandard.__version__,
            **{str(path.relative_to(WGNODE)): path.read_text(encoding="utf-8") for path in _sources()},
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def is_kernel(package: str) -> bool:
    return package.startswith("linux-image-")


def _sources() -> list[Path]:
    """Our sources that go into the image, and the builder's."""
    folders = [path for name in (*OURS, "image") if (path := WGNODE / name).is_dir()]
    alone = [path for name in ("__init__", *OURS) if (path := WGNODE / f"{name}.py").is_file()]
    return sorted([*alone, *(path for folder in folders for path in folder.rglob("*.py"))])
