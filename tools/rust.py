"""WireGuard implementations in Rust, which the tests hold our node against: builds those that are missing.

Prints the path of each. On a machine without a Cargo that is new enough it builds none and says so; the tests that
want them then skip. `--find` only looks: exit code 1 when one that could be built is not built yet.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.cache import cache_directory, install_once
from tools.progress import StepFailed, run_with_progress, say, stop_on_signals


@dataclass(frozen=True)
class Crate:
    """A program on crates.io: its version, the SHA-256 of that crate's file, and the oldest Rust that builds it.

    The crate's own Cargo.lock, in that file, has the digest of everything that it is built from.
    """

    name: str
    version: str
    digest: str
    program: str
    rust: tuple[int, ...]
    quick_options: tuple[str, ...] = ()


QUICK = {"LTO": "off", "CODEGEN_UNITS": "16", "OPT_LEVEL": "1", "DEBUG": "0"}
"""Of Cargo's release profile: the tests ask whether a program interoperates, not how fast it is.

An optimised build, for the benchmark, changes nothing of what `cargo install` does for everybody.
"""
CRATES = {
    "boringtun": Crate(
        "boringtun-cli",
        "0.7.1",
        "5957811aef42617eab3d286faf823ad83a66573a45136c5bca276d674141fcc5",
        "boringtun-cli",
        (1, 85),
    ),
    "gotatun": Crate(
        "gotatun-cli",
        "0.10.2",
        "ced5a7a43df5bb43535bd4f3a1856b1535353eeea5c43272df363b39bb022c4f",
        "gotatun",
        (1, 95),
        ("--no-default-features", "--features", "ring"),  # AWS-LC takes minutes to build
    ),
}


def installed(name: str, *, optimised: bool = False) -> Path:
    """Where `ensure` puts it."""
    crate = CRATES[name]
    folder = f"{name}-optimised" if optimised else name
    return cache_directory() / folder / crate.version / "bin" / crate.program


def why_not(name: str) -> str | None:
    """Why this machine can't build it; None when it can."""
    crate = CRATES[name]
    found = cargo_version()
    if found < crate.rust:
        has = f"it is {version_text(found)}" if found else "there is none"
        return f"no cargo new enough: {crate.name} {crate.version} needs {version_text(crate.rust)}, {has}"
    if shutil.which("cc") is None:
        return f"no C compiler, which {crate.name} needs"
    return None


def ensure(name: str, *, optimised: bool = False) -> Path:
    """The program's path. Raises StepFailed."""
    program = installed(name, optimised=optimised)
    install_once(program.parents[1], name, _builder(CRATES[name], optimised))
    return program


def _builder(crate: Crate, optimised: bool) -> Callable[[Path], None]:
    purpose, settings, options = ("benchmark", {}, ()) if optimised else ("tests", QUICK, crate.quick_options)

    def build(directory: Path) -> None:
        exact = f"{crate.name}@{crate.version}"
        run_with_progress(["cargo", "info", "--quiet", exact], f"fetching {crate.name}", unit="lines of output")
        check_digest(crate, cargo_home() / "registry" / "cache")
        say(f"building {crate.name} {crate.version} (for {purpose})")
        profile = {f"CARGO_PROFILE_RELEASE_{name}": value for name, value in settings.items()}
        run_with_progress(
            ["nice", "cargo", "install", "--locked", "--no-track", "--root", directory, exact, *options],
            crate.name,
            unit="packages done",
            env={**os.environ, **profile, "CARGO_TARGET_DIR": str(directory / "target")},
        )
        shutil.rmtree(directory / "target")

    return build


def check_digest(crate: Crate, cache: Path) -> None:
    """Raises StepFailed unless the file that Cargo fetched is the one that was pinned."""
    file = f"{crate.name}-{crate.version}.crate"
    fetched = {hashlib.sha256(path.read_bytes()).hexdigest() for path in cache.glob(f"*/{file}")}
    if fetched != {crate.digest}:
        found = ", ".join(sorted(fetched)) or "none"
        raise StepFailed(f"{file} has another SHA-256 than tools/rust.py pins\n  pinned: {crate.digest}\n  is: {found}")


def cargo_home() -> Path:
    return Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")


def cargo_version() -> tuple[int, ...]:
    """() without a Cargo that runs."""
    if shutil.which("cargo") is None:
        return ()
    done = subprocess.run(["cargo", "--version"], capture_output=True, text=True, check=False)
    match = re.match(r"cargo (\d+)\.(\d+)", done.stdout)
    return (int(match[1]), int(match[2])) if match else ()


def version_text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def main() -> str | int:
    parser = argparse.ArgumentParser(prog="python -m tools.rust", description=__doc__)
    parser.add_argument("--find", action="store_true", help="only look, never build")
    only_look = parser.parse_args().find
    stop_on_signals()
    for name in CRATES:
        if not installed(name).exists():
            if (reason := why_not(name)) is not None:
                say(f"{name} is not built, and tests against it will skip: {reason}")
                continue
            if only_look:
                return 1
            try:
                ensure(name)
            except StepFailed as error:
                return str(error)
        print(installed(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
