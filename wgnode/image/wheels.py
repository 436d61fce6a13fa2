"""The wheels inside the appliance: exactly the versions and hashes of requirements.lock, for its interpreter."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from wgnode.image.architecture import AMD64, Architecture
from wgnode.image.errors import ImageError

PYTHON = "3.13"
PLATFORMS = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
"""glibc of trixie is 2.41; the newest tags that the projects build for."""
NAMES = ("cffi", "cryptography")
"""`cffi` because cryptography's own extension module imports `_cffi_backend`."""


def pinned(lock_text: str, names: tuple[str, ...] = NAMES) -> str:
    """The entries of `names` out of a requirements.lock, hashes and all. Raises ImageError."""
    entries = []
    for name in names:
        match = re.search(rf"^{re.escape(name)}==\S+ \\\n(?:    --hash=\S+(?: \\)?\n)+", lock_text, re.MULTILINE)
        if not match:
            raise ImageError(f"requirements.lock does not pin {name} with hashes")
        entries.append(match[0])
    return "".join(entries)


def fetch(requirements: str, cache: Path, architecture: Architecture = AMD64) -> list[Path]:
    """The wheels of these requirements in `cache`, downloaded by pip and checked against their hashes."""
    target = cache / f"{hashlib.sha256(requirements.encode()).hexdigest()[:16]}{architecture.suffix}"
    if not _complete(target, requirements):
        cache.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            _download(requirements, Path(work), architecture)
            shutil.copytree(work, target, ignore=shutil.ignore_patterns("requirements.txt"))
    return sorted(target.glob("*.whl"))


def _complete(directory: Path, requirements: str) -> bool:
    """One wheel for each requirement, each with a hash that is pinned."""
    hashes = [hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in directory.glob("*.whl")]
    return len(hashes) == requirements.count("==") and all(f"sha256:{digest}" in requirements for digest in hashes)


def extract(wheels: list[Path], site: Path) -> None:
    """Python files and extension modules, without metadata."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith("/")]
            archive.extractall(site, names)


def _download(requirements: str, directory: Path, architecture: Architecture) -> None:
    file = directory / "requirements.txt"
    file.write_text(requirements)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    command += ["--no-deps", "--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
    command += [f"--abi={abi}" for abi in ("cp313", "abi3")]
    command += [f"--platform={platform}_{architecture.machine}" for platform in PLATFORMS]
    result = subprocess.run(
        [*command, f"--dest={directory}", f"--requirement={file}"], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise ImageError(f"pip could not download the appliance's wheels:\n{result.stderr.strip()[-2000:]}")
