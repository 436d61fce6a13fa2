"""The hosts' root file systems: Debian 12 and 13 by mmdebstrap from the machine's own apt sources, each built once.

Kept in the cache by digest of their recipes; the hosts lay an overlay of their own over one and never change it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.machine import check_space
from lab.process import run

SUITES = {"bookworm": "Debian 12", "trixie": "Debian 13"}
_HOOKS = (
    # Each host makes or is given its own of these.
    'rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/machine-id "$1"/etc/hostname',
    'touch "$1"/etc/machine-id',
    'chroot "$1" useradd --create-home --shell /bin/bash ops',
    # Nothing that wakes up by itself, waits for a network of its own, or wants real hardware.
    "for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service "
    "fstrim.timer systemd-timesyncd.service getty@tty1.service console-getty.service; do "
    'ln -sf /dev/null "$1/etc/systemd/system/$unit"; done',
    'rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*',
)
_PACKAGES = ["systemd-sysv", "dbus", "ifupdown", "openssh-server", "sudo", "iputils-ping", "kmod"]
_PACKAGES += ["qemu-system-x86", "nftables", "iproute2", "python3", "wireguard-tools", "conntrack", "procps"]
# What a release has on every host but for a build without recommended packages, and what changes how it behaves.
_OF_SUITE = {"trixie": ["linux-sysctl-defaults"]}
_EXCLUDED = ["/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*"]
BUILD_SPACE = 700 << 20
"""Bytes for a build; it was seen to take 310 MB in the end, more while packages are unpacked."""
_WAYS_OUT = {
    "NO_PUBKEY": "the machine does not know the keys that sign this release: `apt-get install debian-archive-keyring` "
    "(2023.3+deb12u2 or newer), then run the same again",
    "does not have a Release file": "the archive of the machine's apt sources has not all of this release; add one to "
    "them that has, `apt-get update`, and run the same again",
}
Progress = Callable[[str], None]


def cache_directory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wgnode" / "lab"


def recipe(suite: str) -> Mapping[str, Any]:
    """All that a root file system depends on, but for the versions that the archive has when it is built."""
    return {"suite": suite, "include": _included(suite), "exclude": _EXCLUDED, "hooks": _HOOKS}


def _included(suite: str) -> list[str]:
    return _PACKAGES + _OF_SUITE.get(suite, [])


def digest(suite: str) -> str:
    return hashlib.sha256(json.dumps(recipe(suite), sort_keys=True).encode()).hexdigest()[:16]


def ensure(progress: Progress) -> dict[str, Path]:
    """The root file systems' directories by suite.

    Those that the cache lacks are built first, side by side (about a minute and 310 MB each).
    """
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    targets = {suite: cache / f"rootfs-{digest(suite)}" for suite in SUITES}
    if _missing(targets):
        with _locked(cache / "build.lock", progress):
            if missing := _missing(targets):
                _remove_stale(cache, keep=targets.values())
                _build(cache, missing, progress)
    return targets


def _missing(targets: Mapping[str, Path]) -> dict[str, Path]:
    return {suite: path for suite, path in targets.items() if not path.is_dir()}


@contextlib.contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    with open(path, "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another build of the hosts' root file system")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(cache: Path, targets: Mapping[str, Path], progress: Progress) -> None:
    check_space(cache, BUILD_SPACE * len(targets), "free some, or choose another place by XDG_CACHE_HOME")
    started = time.monotonic()
    names = " and ".join(SUITES[suite] for suite in targets)
    progress(f"building the hosts' root file systems ({names}, once, about a minute each)")
    with contextlib.ExitStack() as stack:
        builds = [stack.enter_context(_begun(cache, suite)) for suite in targets]
        for build in builds:
            _end(build, targets[build.suite])
    progress(f"root file systems built in {time.monotonic() - started:.0f} s")


@dataclass(frozen=True)
class _Build:
    """One that runs: `root` is where it goes until it is whole, `log` what mmdebstrap says."""

    suite: str
    root: Path
    log: Path
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def _begun(cache: Path, suite: str) -> Iterator[_Build]:
    """Whatever happens in the meantime, at the end nothing of it runs and no half of it is left."""
    with tempfile.TemporaryDirectory(prefix=".build-", dir=cache, ignore_cleanup_errors=True) as work:
        sources, root, log = Path(work, "sources.list"), Path(work, "root"), cache / f"build-{suite}.log"
        sources.write_text(apt_sources(suite))
        with open(log, "wb") as output:
            process = subprocess.Popen(_command(suite, root, sources), stdout=output, stderr=output, umask=0o022)
        try:
            yield _Build(suite, root, log, process)
        finally:
            process.kill()
            process.wait()


def _end(build: _Build, target: Path) -> None:
    if code := build.process.wait():
        raise LabError(_failure(SUITES[build.suite], code, build.log))
    build.root.rename(target)


def _failure(name: str, code: int, log: Path) -> str:
    said = log.read_text(errors="replace")
    tail = said.splitlines()[-8:] + [way for sign, way in _WAYS_OUT.items() if sign in said]
    return "\n".join([f"mmdebstrap of {name} failed ({code}); the end of {log}:", *tail])


def _command(suite: str, root: Path, sources: Path) -> list[str]:
    """mmdebstrap in process and mount namespaces that end with us: a killed build leaves only files behind."""
    command = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]
    command += ["mmdebstrap", "--variant=minbase", "--mode=root", "--dpkgopt=force-unsafe-io"]
    command += ['--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"', *apt_options()]
    command += [f"--dpkgopt=path-exclude={each}" for each in _EXCLUDED]
    command += [f"--customize-hook={hook}" for hook in _HOOKS]
    return [*command, f"--include={','.join(_included(suite))}", suite, str(root), str(sources)]


def apt_options() -> Iterator[str]:
    """The machine's own proxy settings, which mmdebstrap does not read by itself."""
    for line in run(["apt-config", "dump"]).stdout.splitlines():
        if line.startswith("Acquire::") and "::proxy " in line.lower() and not line.endswith('"";'):
            yield f"--aptopt={line}"


def apt_sources(suite: str) -> str:
    """One-line apt sources for a suite, from the archives of the machine's own apt sources.

    A machine of another Debian release serves as well: its archive holds the suite too.
    """
    asked = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages"])
    lines = set()
    for line in asked.stdout.splitlines():
        uri, codename, component = line.split()
        _, dash, pocket = codename.partition("-")
        if component == "main" and pocket in ("", "updates", "security"):
            lines.add(f"deb {uri} {suite}{dash}{pocket} main")
    if not any(f" {suite} " in line for line in lines):
        raise LabError("the machine's apt sources name no Debian archive; run `apt-get update`, or add one")
    return "\n".join(sorted(lines)) + "\n"


@contextlib.contextmanager
def in_use(root: Path) -> Iterator[None]:
    """Hold a root file system against removal while a host runs on it."""
    with open(f"{root}.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield


def _remove_stale(cache: Path, keep: Iterable[Path]) -> None:
    """Interrupted builds, and root file systems of older recipes on which no host runs."""
    for path in cache.glob(".build-*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in set(cache.glob("rootfs-*[0-9a-f]")) - set(keep):
        lock = Path(f"{path}.lock")
        with open(lock, "w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(path, ignore_errors=True)
            lock.unlink(missing_ok=True)
