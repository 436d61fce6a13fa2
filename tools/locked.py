"""Packages that have a lock of their own, by digest, and are installed once into the cache: none of the clone's.

`python -m tools.locked NAME` prints where one is installed, after having done so; `--find` only looks, exit code 1 when
it is not there yet.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from tools import ROOT
from tools.cache import cache_directory, install_once
from tools.progress import StepFailed, run_with_progress, stop_on_signals

WHAT = {
    "cyclonedx": "CycloneDX's schemas (for tests)",
    "docs": "Sphinx (for make docs)",
    "moto": "moto, 115 MB, in whose S3 the tests keep states",
}
"""By folder in tools/: what it is, for whoever waits."""


def installed(name: str) -> Path:
    """Where `ensure` puts what tools/NAME/requirements.lock pins."""
    pins = f"{sys.version_info[:2]} {_lock(name).read_text()}"
    return cache_directory() / name / hashlib.sha256(pins.encode()).hexdigest()[:16]


def ensure(name: str) -> Path:
    """A folder for PYTHONPATH. Raises StepFailed."""
    return install_once(installed(name), name, lambda directory: _install(_lock(name), directory, WHAT[name]))


def _lock(name: str) -> Path:
    return ROOT / "tools" / name / "requirements.lock"


def _install(lock: Path, directory: Path, what: str) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    run_with_progress(
        [sys.executable, "-m", "pip", "install", *options, "--target", directory, "-r", lock],
        f"fetching {what}",
        unit="lines of output",
    )


def main() -> str | int:
    parser = argparse.ArgumentParser(prog="python -m tools.locked", description=__doc__)
    parser.add_argument("name", choices=sorted(WHAT))
    parser.add_argument("--find", action="store_true", help="only look, never install")
    asked = parser.parse_args()
    stop_on_signals()
    try:
        directory = installed(asked.name) if asked.find else ensure(asked.name)
    except StepFailed as error:
        return str(error)
    if not directory.is_dir():
        return 1
    print(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
