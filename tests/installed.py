"""The distribution as others have it: its wheel in an empty virtual environment, without this clone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LIBRARIES = next(path for path in map(Path, sys.path) if (path / "pulumi").is_dir() and (path / "grpc").is_dir())


def install(wheel: Path, folder: Path) -> Path:
    """The programs' folder of a new virtual environment with the wheel.

    Others' libraries come from this interpreter's, by a path whose own .pth files, hence the clone, are not looked at.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "uv", "pip", "install", "--offline", "--no-deps", "--python", python, wheel]
    subprocess.run(install, check=True, capture_output=True)
    (libraries,) = folder.glob("lib/python3*/site-packages")
    (libraries / "others.pth").write_text(f"{LIBRARIES}\n")
    return folder / "bin"
