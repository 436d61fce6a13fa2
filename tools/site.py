"""docs/ as a site in build/docs/, by Sphinx; a link that leads nowhere fails it (`make docs`).

Sphinx is none of the clone's own libraries: tools/docs/requirements.lock pins it, by digest, and it is installed once
into the cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools import ROOT
from tools.cache import cache_directory, install_once
from tools.progress import StepFailed, run_with_progress, stop_on_signals

SETTINGS = ROOT / "tools" / "docs"
LOCK = SETTINGS / "requirements.lock"


def build(pages: Path, site: Path) -> None:
    """Raises StepFailed with all that Sphinx remarks on."""
    shutil.rmtree(site, ignore_errors=True)
    # -W with --keep-going: any remark is an error, and all are told; -E, as pages that did not change are judged too.
    options: list[str | Path] = [
        "-q",
        "-E",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "-d",
        site / ".doctrees",
        "-c",
        SETTINGS,
    ]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, pages, site],
        env={**os.environ, "PYTHONPATH": str(sphinx())},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StepFailed(f"{pages} makes no site:\n{done.stderr.strip()}")


def sphinx() -> Path:
    """Where Sphinx and what it needs are installed. Raises StepFailed."""
    pins = f"{sys.version_info[:2]} {LOCK.read_text()}"
    target = cache_directory() / "sphinx" / hashlib.sha256(pins.encode()).hexdigest()[:16]
    return install_once(target, "Sphinx", _install)


def _install(directory: Path) -> None:
    options: list[str | Path] = [
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--require-hashes",
        "--target",
        directory,
    ]
    run_with_progress(
        [sys.executable, "-m", "pip", "install", *options, "-r", LOCK],
        "fetching Sphinx for make docs",
        unit="lines of output",
    )


def main() -> str | None:
    stop_on_signals()
    try:
        build(ROOT / "docs", ROOT / "build" / "docs")
    except StepFailed as error:
        return str(error)
    print(ROOT / "build" / "docs" / "index.html")
    return None


if __name__ == "__main__":
    sys.exit(main())
