"""Runs Cargo on fastpath/ where the machine has one that is new enough: python -m tools.fastpath.cargo test ...

Elsewhere it says in a line what is not done and why, and ends well.
"""

import subprocess
import sys
from collections.abc import Sequence

from tools.fastpath.wheel import CRATE, why_not
from tools.progress import say

COMPONENTS = {"fmt": "rustfmt", "clippy": "clippy"}
"""Commands that a Cargo may come without, and what brings them."""


def run(arguments: Sequence[str]) -> int:
    """Cargo's exit code; 0 where it was not run."""
    command = arguments[0]
    if (reason := why_not() or _lacks(command)) is not None:
        say(f"cargo {command} of the compiled data plane: not done, {reason}")
        return 0
    return subprocess.run(["cargo", *arguments], cwd=CRATE, stdin=subprocess.DEVNULL, check=False).returncode


def _lacks(command: str) -> str | None:
    if command not in COMPONENTS:
        return None
    found = subprocess.run(["cargo", command, "--version"], cwd=CRATE, capture_output=True, check=False)
    return None if found.returncode == 0 else f"it is not installed; rustup component add {COMPONENTS[command]}"


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
