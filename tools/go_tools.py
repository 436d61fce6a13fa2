"""Other people's programs from Go modules that the tests need: prints each one's path, building what is missing.

`python -m tools.go_tools` (`tools/setup tests`); `--find` only looks: exit code 1 when one is not built yet.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from tools import ROOT
from tools.cache import cache_directory, install_once
from tools.golang import install_tool, module_version
from tools.progress import StepFailed, stop_on_signals


@dataclass(frozen=True)
class GoTool:
    """`name` is the program's, and its folder's in tools/, whose go.mod pins `module`; Go calls it `built`."""

    name: str
    module: str
    built: str

    @property
    def version(self) -> str:
        return module_version(ROOT / "tools" / self.name, self.module)


TOOLS = {
    tool.name: tool
    for tool in (
        GoTool("wireguard-go", "golang.zx2c4.com/wireguard", "wireguard"),  # which our node is held against
        GoTool("actionlint", "github.com/rhysd/actionlint", "actionlint"),  # judges workflows of GitHub that we write
    )
}


def installed(name: str) -> Path:
    """Where `ensure` puts it."""
    return cache_directory() / name / TOOLS[name].version / name


def ensure(name: str) -> Path:
    """The program's path, at the version that its go.mod pins. Raises StepFailed."""

    def build(directory: Path) -> None:
        install_tool(ROOT / "tools" / name, directory, f"{name} (for tests)")
        (directory / TOOLS[name].built).rename(directory / name)

    return install_once(installed(name).parent, name, build) / name


def main() -> str | int:
    parser = argparse.ArgumentParser(prog="python -m tools.go_tools", description=__doc__)
    parser.add_argument("--find", action="store_true", help="only look, never build")
    only_look = parser.parse_args().find
    stop_on_signals()
    try:
        programs = [installed(name) if only_look else ensure(name) for name in TOOLS]
    except StepFailed as error:
        return str(error)
    print(*programs, sep="\n")
    return 0 if all(program.exists() for program in programs) else 1


if __name__ == "__main__":
    sys.exit(main())
