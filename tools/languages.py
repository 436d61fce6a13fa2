"""Pulumi's language hosts for YAML, Go and TypeScript, for the tests of the examples: prints the directory of them.

`python -m tools.languages` builds what is missing from Go modules (`make languages`); `--find` only looks: exit
code 1 when they are not there yet. An engine that is an official release has its own beside it, and these are not used.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from tools import ROOT
from tools.cache import cache_directory, install_once
from tools.golang import install_tool
from tools.progress import StepFailed, stop_on_signals

MODULES = {
    ROOT / "tools" / "pulumi-language-yaml": "the YAML language host (some minutes)",
    ROOT / "tools" / "pulumi-language-go": "the language hosts of Go and Node.js",
}
"""The newest versions that the module proxy serves as parts of modules (docs/decisions/sdks.md)."""


def installed() -> Path:
    """Where `ensure` puts them."""
    pins = b"".join((module / "go.sum").read_bytes() for module in MODULES)
    return cache_directory() / "pulumi-languages" / hashlib.sha256(pins).hexdigest()[:16]


def ensure() -> Path:
    """The directory of the language hosts. Raises StepFailed."""
    return install_once(installed(), "Pulumi's language hosts", _build)


def _build(directory: Path) -> None:
    for module, what in MODULES.items():
        install_tool(module, directory, what)


def main() -> str | int:
    stop_on_signals()
    parser = argparse.ArgumentParser(prog="python -m tools.languages", description=__doc__)
    parser.add_argument("--find", action="store_true", help="only look, never build")
    try:
        directory = installed() if parser.parse_args().find else ensure()
    except StepFailed as error:
        return str(error)
    if not directory.is_dir():
        return 1
    print(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
