"""What of Python and its libraries goes into an image: all that the node imports, as its interpreter says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wgnode.image import extension, wheels
from wgnode.image.architecture import Architecture
from wgnode.image.errors import ImageError
from wgnode.image.guest_python import BINARY, VERSION, GuestPython, always_needed

PYTHON = f"python{VERSION}-minimal"


@dataclass(frozen=True)
class Source:
    """What an architecture's tree is made of: packages without the kernel, versions of all of them, wheels."""

    architecture: Architecture
    debs: list[Path]
    versions: Mapping[str, str]
    wheels: list[Path]

    def tree(self, root: Path, compiled: dict[str, bytes], package: Path) -> GuestPython:
        """Unpacked, with the compiled data plane's files and our code of `package`."""
        python = GuestPython(root, self.architecture)
        python.unpack(self.debs)
        wheels.extract(self.wheels, python.site)
        extension.write(compiled, python.site)
        python.add_our_code(package)
        return python


def files(
    source: Source, here: Source, compiled: dict[str, bytes], package: Path, work: Path
) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Byte code, and binaries with their libraries, by path in the image.

    `here` is of the building machine's architecture, which `source` may be. Raises ImageError where the one's
    interpreter can't speak for the other's.
    """
    if source.versions.get(PYTHON) != here.versions.get(PYTHON):
        raise ImageError(
            f"image.lock has {PYTHON} {source.versions.get(PYTHON)} of {source.architecture.name} and"
            f" {here.versions.get(PYTHON)} of {here.architecture.name}, which has to trace and compile for it;"
            " `wgnode image lock` renews both"
        )
    python = source.tree(work / "root", compiled, package)
    tracer = python if here == source else here.tree(work / "here", compiled, package)
    sources, extensions, made = tracer.traced()
    everything = python.counterparts(sorted({*sources, *always_needed()}), here.architecture)
    pyc = tracer.compiled(everything, made, python.root, work / "pyc")
    return pyc, python.with_libraries([BINARY, *python.counterparts(extensions, here.architecture)])
