"""Runs Cargo on fastpath/ with the compiler's unstable options: python -m tools.fastpath.unstable fuzz run ...

A nightly Rust where rustup has one. Else the compiler that there is, with RUSTC_BOOTSTRAP=1: it unlocks the options and
changes nothing else, and rustup's stable Rust comes with AddressSanitizer's run-time too.

Nobody runs these checks by the way. So, unlike with tools.fastpath.cargo, what is missing is a failure.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.fastpath.wheel import CRATE, why_not
from tools.progress import say

COMMANDS = {
    "fuzz": "cargo install cargo-fuzz",
    "miri": "rustup toolchain install nightly --component miri,rust-src",
}
"""Commands that a Cargo comes without, and what brings them."""
RUN_TIME = "lib/rustlib/*/lib/librustc*_rt.asan.*"
SOURCE, OWN_LIBRARY = "lib/rustlib/src/rust/library/Cargo.lock", "-Zbuild-std"
"""Of the standard library, and the option that builds it."""
NIGHTLY = "rustup toolchain install nightly"


def run(arguments: Sequence[str]) -> int:
    """Cargo's exit code; 1 where it was not run."""
    command = arguments[0]
    environment = os.environ | _unlocked()
    if (reason := why_not() or _lacks(arguments, environment)) is not None:
        say(f"cargo {command} of the compiled data plane: not done, {reason}")
        return 1
    return subprocess.run(
        ["cargo", *arguments], cwd=CRATE, env=environment, stdin=subprocess.DEVNULL, check=False
    ).returncode


def _unlocked() -> dict[str, str]:
    nightly = {"RUSTUP_TOOLCHAIN": "nightly", "RUSTUP_AUTO_INSTALL": "0"}
    # A Cargo that is not rustup's ignores the variable, so it is asked for what it says of itself.
    version = _output(["cargo", "--version"], os.environ | nightly)
    return nightly if version is not None and "nightly" in version else {"RUSTC_BOOTSTRAP": "1"}


def _lacks(arguments: Sequence[str], environment: dict[str, str]) -> str | None:
    command = arguments[0]
    if command in COMMANDS and _output(["cargo", command, "--version"], environment) is None:
        return f"it is not installed; {COMMANDS[command]}"
    if command == "miri":
        return None
    root = _output(["rustc", "--print", "sysroot"], environment)
    if root is None or not any(Path(root).glob(RUN_TIME)):
        return f"this Rust comes without AddressSanitizer's run-time; {NIGHTLY}"
    if OWN_LIBRARY in arguments and not (Path(root) / SOURCE).is_file():
        return f"this Rust comes without its library's source; {NIGHTLY} --component rust-src"
    return None


def _output(command: list[str], environment: dict[str, str]) -> str | None:
    """None when it fails or is not there."""
    try:
        done = subprocess.run(command, cwd=CRATE, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
