"""Packages that have a lock of their own, by digest, and are installed once into the cache: none of the clone's."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from tools import ROOT
from tools.cache import cache_directory, install_once
from tools.progress import run_with_progress


def installed(name: str) -> Path:
    """Where `ensure` puts what tools/NAME/requirements.lock pins."""
    pins = f"{sys.version_info[:2]} {_lock(name).read_text()}"
    return cache_directory() / name / hashlib.sha256(pins.encode()).hexdigest()[:16]


def ensure(name: str, why: str) -> Path:
    """A folder for PYTHONPATH; `why` is for whoever waits. Raises StepFailed."""
    return install_once(installed(name), name, lambda directory: _install(_lock(name), directory, why))


def _lock(name: str) -> Path:
    return ROOT / "tools" / name / "requirements.lock"


def _install(lock: Path, directory: Path, why: str) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    run_with_progress(
        [sys.executable, "-m", "pip", "install", *options, "--target", directory, "-r", lock],
        why,
        unit="lines of output",
    )
