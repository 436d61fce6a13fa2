"""The Pulumi engine: prints the directory that holds `pulumi`, installing it first where it is missing.

In this order: a fitting one on PATH, the official release of the pinned version, the same version built from Go
modules (docs/decisions/pulumi-engine.md). `--find` only looks: exit code 1 when it is not installed yet.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import ROOT
from tools.cache import cache_directory, install_once
from tools.golang import install_tool, module_directory, module_version
from tools.progress import StepFailed, run_with_progress, say, stop_on_signals

ENGINE_MODULE = ROOT / "tools" / "pulumi"
LANGUAGE_HOST_MODULE = ROOT / "tools" / "pulumi-language-python"
LANGUAGE_HOST = "pulumi-language-python"
SDK = "github.com/pulumi/pulumi/sdk/v3"
BESIDE_THE_HOST = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")
"""Scripts in the SDK's Go module that the Python language host looks for beside itself."""
SECONDS_FOR_RELEASE = 1200


@dataclass(frozen=True)
class Source:
    """One way to get an engine: `install(directory)` makes directory/bin or raises StepFailed or OSError."""

    name: str
    install: Callable[[Path], None]


def pinned_version() -> str:
    """The SDK's version in requirements.lock: engine and SDK go together here; others choose in pyproject's range."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return next(line.split()[0].removeprefix("pulumi==") for line in lines if line.startswith("pulumi=="))


def fits(version: str, pinned: str) -> bool:
    """Whether an engine of `version` serves the pinned SDK: same major version, not older, no pre-release."""
    match = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)", version.strip())
    if not match:
        return False
    have, want = [int(part) for part in match.groups()], [int(part) for part in pinned.split(".")]
    return have[0] == want[0] and have >= want


def on_path(pinned: str) -> Path | None:
    """The directory of a fitting `pulumi` on PATH that can run Python programs, else None."""
    program = shutil.which("pulumi")
    if not program:
        return None
    version = engine_version(Path(program))
    if not fits(version, pinned):
        say(f"{program} is {version or 'broken'}, not a 3.x from {pinned} on: not used")
        return None
    beside = Path(program).resolve().parent
    if not (shutil.which(LANGUAGE_HOST) or (beside / LANGUAGE_HOST).exists()):
        say(f"{program} has no {LANGUAGE_HOST} beside it or on PATH: not used")
        return None
    return Path(program).parent


def engine_version(program: Path) -> str:
    """What `pulumi version` prints; empty when it does not run."""
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run([program, "version"], env=environment, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def install_release(directory: Path, version: str) -> None:
    """The official release, by the Automation API's installer; a blocked network fails within seconds."""
    settings = directory / "curl"
    settings.mkdir()
    # The installer's script downloads with curl, which would wait minutes for a network that swallows packets.
    (settings / ".curlrc").write_text("connect-timeout = 15\nspeed-limit = 1000\nspeed-time = 30\n")
    run_with_progress(
        [sys.executable, "-m", "tools.release", directory, version],
        f"downloading Pulumi v{version}",
        unit="lines of output",
        cwd=ROOT,
        env={**os.environ, "CURL_HOME": str(settings)},
        limit=SECONDS_FOR_RELEASE,
    )
    shutil.rmtree(settings)


def build_from_modules(directory: Path, version: str) -> None:
    """The engine and the Python language host, built from the modules that tools/*/go.sum pin."""
    destination = directory / "bin"
    destination.mkdir()
    stamp = "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v"
    host_version = module_version(LANGUAGE_HOST_MODULE, SDK)
    install_tool(LANGUAGE_HOST_MODULE, destination, "the Python language host", stamp + host_version)
    go = install_tool(ENGINE_MODULE, destination, "the Pulumi engine (some minutes)", stamp + version)
    sdk = module_directory(go, ENGINE_MODULE, SDK)
    for script in BESIDE_THE_HOST:
        shutil.copyfile(sdk / script, destination / Path(script).name)
        (destination / Path(script).name).chmod(0o755)


def first_that_works(directory: Path, sources: Sequence[Source], version: str) -> None:
    """Fill `directory` from the first source whose engine runs and says that it is exactly `version`.

    Raises StepFailed with every source's reason when none does.
    """
    reasons = []
    for source in sources:
        say(f"Pulumi v{version}: trying {source.name}")
        try:
            source.install(directory)
            found = engine_version(directory / "bin" / "pulumi")
            if found == f"v{version}":
                return
            raise StepFailed(f"its engine says {found or 'nothing'}, expected v{version}")
        except (StepFailed, OSError) as error:
            say(f"{source.name} did not work: {error}")
            reasons.append(f"{source.name}: {error}")
        _empty(directory)
    raise StepFailed("no Pulumi engine could be installed\n" + "\n".join(reasons))


def _empty(directory: Path) -> None:
    for entry in directory.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def installed(version: str) -> Path:
    """Where this module installs the engine of a version."""
    return cache_directory() / "pulumi" / f"v{version}"


def find() -> Path | None:
    """The directory of a fitting engine that is already there, else None."""
    version = pinned_version()
    ours = installed(version) / "bin"
    return on_path(version) or (ours if ours.is_dir() else None)


def ensure() -> Path:
    """The directory of a fitting engine, installed if need be. Raises StepFailed."""
    version = pinned_version()
    sources = [
        Source("the official release", lambda directory: install_release(directory, version)),
        Source("Go modules", lambda directory: build_from_modules(directory, version)),
    ]
    return find() or (
        install_once(installed(version), "Pulumi", lambda part: first_that_works(part, sources, version)) / "bin"
    )


def main() -> str | int:
    stop_on_signals()
    parser = argparse.ArgumentParser(prog="python -m tools.engine", description=__doc__)
    parser.add_argument("--find", action="store_true", help="only look, never install")
    try:
        directory = find() if parser.parse_args().find else ensure()
    except StepFailed as error:
        return str(error)
    if directory is None:
        return 1
    print(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
