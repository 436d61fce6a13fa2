"""wireguard-go, which the tests hold our node against: prints the program's path, building it first where missing."""

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


def main() -> str | None:
    stop_on_signals()
    try:
        print(ensure())
    except StepFailed as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main())
