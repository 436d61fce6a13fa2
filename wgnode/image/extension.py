"""The compiled data plane's files, as they are installed beside this program: an extension for any CPython (abi3)."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

PACKAGE = "wgnode-fastpath"
SUFFIXES = (".py", ".so")


def files() -> dict[str, bytes]:
    """By path below a folder of modules; empty where the extension is not installed."""
    try:
        found = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        return {}
    return {str(path): path.read_binary() for path in found if path.suffix in SUFFIXES}


def digest(extension: dict[str, bytes]) -> str:
    """SHA-256, hex; "" for none."""
    whole = hashlib.sha256()
    for name, data in sorted(extension.items()):
        whole.update(f"{name} {hashlib.sha256(data).hexdigest()}\n".encode())
    return whole.hexdigest() if extension else ""


def write(extension: dict[str, bytes], site: Path) -> None:
    for name, data in extension.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(data)
