"""actionlint, which judges the workflows of GitHub that we write: prints its path, building it first where missing.

`--find` only looks: exit code 1 when it is not built yet.
"""

import argparse
import sys
from pathlib import Path

from tools import ROOT
from tools.cache import cache_directory, install_once
from tools.golang import install_tool, module_version
from tools.progress import StepFailed, stop_on_signals

MODULE = ROOT / "tools" / "actionlint"


def ensure() -> Path:
    """The path of actionlint at the version that its go.mod pins. Raises StepFailed."""
    return install_once(installed().parent, "actionlint", _build) / installed().name


def installed() -> Path:
    """Where `ensure` puts it."""
    return cache_directory() / "actionlint" / module_version(MODULE, "github.com/rhysd/actionlint") / "actionlint"


def _build(directory: Path) -> None:
    install_tool(MODULE, directory, "actionlint (for tests)")


def main() -> str | int:
    parser = argparse.ArgumentParser(prog="python -m tools.actionlint", description=__doc__)
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
