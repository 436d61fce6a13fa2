"""docs/ as a site in build/docs/, by Sphinx; a link that leads nowhere fails it (`make docs`).

Sphinx is none of the clone's own libraries: tools/docs/requirements.lock pins it, by digest, and it is installed once
into the cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools import ROOT, locked
from tools.progress import StepFailed, stop_on_signals

SETTINGS = ROOT / "tools" / "docs"


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
    return locked.ensure("docs")


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
