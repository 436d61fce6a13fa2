"""wireguard-go, which the tests hold our node against: prints the program's path, building it first where missing.

`--find` only looks: exit code 1 when it is not built yet.
"""

import argparse
import sys
from pathlib import Path

from tools import ROOT
from tools.cache import cache_directory, install_once
from tools.golang import install_tool, module_version
from tools.progress import StepFailed, stop_on_signals

MODULE = ROOT / "tools" / "wireguard-go"


def ensure() -> Path:
    """The path of wireguard-go at the version that its go.mod pins. Raises StepFailed."""
    return install_once(installed().parent, "wireguard-go", _build) / installed().name


def installed() -> Path:
    """Where `ensure` puts it."""
    return cache_directory() / "wireguard-go" / module_version(MODULE, "golang.zx2c4.com/wireguard") / "wireguard-go"


def _build(directory: Path) -> None:
    install_tool(MODULE, directory, "wireguard-go (for tests)")
    (directory / "wireguard").rename(directory / "wireguard-go")


def main() -> str | int:
    parser = argparse.ArgumentParser(prog="python -m tools.wireguard_go", description=__doc__)
    parser.add_argument("--find", action="store_true", help="only look, never build")
    only_look = parser.parse_args().find
    stop_on_signals()
    try:
        program = installed() if only_look else ensure()
    except StepFailed as error:
        return str(error)
    if not program.exists():
        return 1
    print(program)
    return 0


if __name__ == "__main__":
    sys.exit(main())
