"""The wheel in the virtual environment that this runs in: which one is there, and another in its place."""

import hashlib
import json
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from tools.fastpath.wheel import PACKAGE, folder
from tools.progress import run_with_progress

PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")


def has(wheel: Path) -> bool:
    """Just this one."""
    return _noted("hash") == f"sha256={_sha256(wheel)}"


def has_one_of_ours() -> bool:
    """One that was built here, of these sources or others. Somebody else's is not ours to take away."""
    return _noted("url").startswith(folder().as_uri())


def install(wheel: Path) -> None:
    """Raises StepFailed. pip checks the digest, and notes only one that it was given."""
    exact = f"{wheel.as_uri()}#sha256={_sha256(wheel)}"
    command = [*PIP, "install", "--no-index", "--no-deps", "--force-reinstall", exact]
    run_with_progress(command, f"installing {wheel.name}", unit="lines of output")


def remove() -> None:
    """Raises StepFailed."""
    run_with_progress([*PIP, "uninstall", "--yes", PACKAGE], f"removing {PACKAGE}", unit="lines of output")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _noted(what: str) -> str:
    """Of what pip notes about a package that it installs by path (PEP 610): "url" or "hash"; "" for nothing."""
    try:
        origin = json.loads(distribution(PACKAGE).read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return ""
    return str({**origin, **origin.get("archive_info", {})}.get(what, ""))
