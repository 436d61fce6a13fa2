"""The wheel that image.lock pins, beside the one that this machine makes: what made each, and how to pin another.

Which compilers there are decides the bytes, so image.lock says them; whether the bytes are those is what counts.
"""

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools import ROOT
from tools.fastpath import wheel
from wgnode.image import extension, lock

LOCK = ROOT / "image.lock"
START_FILES = ("crti.o", "crtbeginS.o", "crtendS.o", "crtn.o", "libgcc.a")
"""Of the C library and the C compiler; the linker puts them into every shared library."""


def read() -> lock.Extension:
    """Raises lock.LockError."""
    return lock.parse_extension(LOCK.read_text(encoding="utf-8"))


def made_here(made: Path) -> lock.Extension:
    """What image.lock would say of this wheel, made here of the sources as they are."""
    return lock.Extension(
        sources=wheel.digest(wheel.CRATE, ""),
        files=extension.digest(extension.files_of(made)),
        wheel=hashlib.sha256(made.read_bytes()).hexdigest(),
        made_by=made_by(),
    )


def made_by() -> dict[str, str]:
    """Compilers and options by name, one line each."""
    about = dict(line.split(": ", 1) for line in _says("rustc", "-vV").splitlines() if ": " in line)
    rust = (
        f"{_says('rustc', '--version').removeprefix('rustc ')} {about.get('host', '')} LLVM {about.get('LLVM version')}"
    )
    return {
        "rustc": rust,
        "cargo": _says("cargo", "--version").removeprefix("cargo "),
        "cc": _says("cc", "--version").partition("\n")[0],
        "start-files": _start_files(),
        "maturin": _says(wheel.maturin(), "--version").removeprefix("maturin "),
        "options": " ".join(f"{name}={value}" for name, value in wheel.PROFILE.items()) + f" {wheel.GLIBC}",
    }


def write(made: Path) -> None:
    """Pin this wheel."""
    packages = lock.parse(LOCK.read_text(encoding="utf-8"))
    LOCK.write_text(lock.render(packages, made_here(made)), encoding="utf-8")


def differences(pinned: lock.Extension, here: lock.Extension) -> list[str]:
    """Why this machine's wheel is another one, a line for each reason; none where it is the pinned one. Pure."""
    if pinned.files == here.files:
        return []
    lines = []
    if pinned.sources != here.sources:
        lines.append("fastpath/ has been changed since: `python -m tools.fastpath --lock` pins what comes of it now")
    for name in dict.fromkeys((*pinned.made_by, *here.made_by)):
        there, ours = pinned.made_by.get(name, "nothing"), here.made_by.get(name, "nothing")
        if there != ours:
            lines.append(f"{name}: here {ours}, pinned {there}")
    return lines or ["the same compilers and sources gave other bytes: something of this machine shows in them"]


def toolchain(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What makes rustup run the pinned Rust where it has that beside another; nothing where there is nothing to do."""
    try:
        wanted = read().made_by.get("rustc", "")
    except (OSError, lock.LockError):
        return {}
    version = wanted.split(" ")[0]
    if not version or "RUSTUP_TOOLCHAIN" in environment or _says("rustc", "--version")[6:] in wanted:
        return {}
    ours = {"RUSTUP_TOOLCHAIN": version, "RUSTUP_AUTO_INSTALL": "0"}
    found = _says("rustc", "--version", env={**environment, **ours})
    return ours if found and found[6:] in wanted else {}


def _start_files() -> str:
    whole = hashlib.sha256()
    for name in START_FILES:
        path = Path(_says("cc", f"-print-file-name={name}"))
        whole.update(path.read_bytes() if path.is_file() else b"")
    return whole.hexdigest()[:16]


def _says(*command: str, env: Mapping[str, str] | None = None) -> str:
    """ "" from a program that is not there or fails."""
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
