"""The compiled data plane's files: an extension for any CPython (abi3), installed beside this program or in a wheel.

An image is deployed by its digest, so what goes into it is what image.lock pins, whoever builds; see variants.py for
what a machine without it can do.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

from wgnode.image.errors import ImageError
from wgnode.image.lock import Extension
from wgnode.image.variants import Variant

PACKAGE = "wgnode-fastpath"
SUFFIXES = (".py", ".so")
WHY_NOT = Path(sys.prefix) / ".without-fastpath"
"""What set-up (tools.fastpath) last said for not having built it here."""


class ExtensionError(ImageError):
    """The pinned data plane can't go into an image here; the text says why, and what else can be done."""


def files() -> dict[str, bytes]:
    """By path below a folder of modules; empty where the extension is not installed."""
    try:
        found = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        return {}
    return {str(path): path.read_binary() for path in found if path.suffix in SUFFIXES}


def files_of(wheel: Path) -> dict[str, bytes]:
    """The same files out of a wheel. Raises ImageError."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if PurePosixPath(name).suffix in SUFFIXES]
            return {name: archive.read(name) for name in names}
    except (OSError, zipfile.BadZipFile) as error:
        raise ImageError(f"{wheel} is no wheel of {PACKAGE}: {error}") from None


def digest(extension: dict[str, bytes]) -> str:
    """SHA-256, hex; "" for none."""
    whole = hashlib.sha256()
    for name, data in sorted(extension.items()):
        whole.update(f"{name} {hashlib.sha256(data).hexdigest()}\n".encode())
    return whole.hexdigest() if extension else ""


def require_pinned(found: dict[str, bytes], pinned: Extension, where: str) -> None:
    """Raises ExtensionError unless these files, found `where`, are those that image.lock pins."""
    if not found:
        raise ExtensionError(_told(f"it is not {where}{_why_not()}", pinned))
    if digest(found) != pinned.files:
        reason = f"the one {where} is another ({digest(found)[:12]}, pinned is {pinned.files[:12]})"
        raise ExtensionError(_told(f"{reason}; `python -m tools.fastpath --compare` says what differs", pinned))


def write(extension: dict[str, bytes], site: Path) -> None:
    for name, data in extension.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(data)


def _why_not() -> str:
    try:
        return f" ({WHY_NOT.read_text()})"
    except OSError:
        return ""


def _told(reason: str, pinned: Extension) -> str:
    rust, compiler = pinned.made_by.get("rustc", "").split(" ")[0], pinned.made_by.get("cc", "")
    return f"""\
the compiled data plane that image.lock pins is not to be had here: {reason}. One of these helps:
  - make it here: `make setup`, with Rust {rust} (`rustup toolchain install {rust}`, also beside another) and {compiler}
  - take its wheel from a machine that makes it (`python -m tools.fastpath` prints the file there):
      wgnode image build --fastpath-wheel FILE
  - take the whole image from there: copy build/image/{Variant.PINNED.file_name} to its place here, or give the site
    `gateway.image` as a URL with `gateway.sha256`
  - do without, several times slower, for stack files with `gateway.image: build/image/{Variant.PLAIN.file_name}`:
      wgnode image build --without-fastpath
After a change of fastpath/, `python -m tools.fastpath --lock` pins what comes of it."""
