"""The hosts' root file system: Debian 12 by mmdebstrap from the machine's own apt sources, built once.

Kept in the cache by digest of its recipe; the hosts lay an overlay of their own over it and never change it.
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
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.errors import LabError
from lab.machine import check_space
from lab.process import run

SUITE = "bookworm"
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
RECIPE = {
    "suite": SUITE,
    "include": _PACKAGES,
    "exclude": ["/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*"],
    "hooks": _HOOKS,
}
BUILD_SPACE = 700 << 20
"""Bytes for a build; it was seen to take 310 MB in the end, more while packages are unpacked."""
Progress = Callable[[str], None]


def cache_directory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wgnode" / "lab"


def digest() -> str:
    return hashlib.sha256(json.dumps(RECIPE, sort_keys=True).encode()).hexdigest()[:16]


def ensure(progress: Progress) -> Path:
    """The root file system's directory; built first where the cache has none (about a minute, 250 MB)."""
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / f"rootfs-{digest()}"
    if target.is_dir():
        return target
    with _locked(cache / "build.lock", progress):
        if not target.is_dir():
            _remove_stale(cache, keep=target)
            _build(cache, target, progress)
    return target


@contextlib.contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    with open(path, "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another build of the hosts' root file system")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(cache: Path, target: Path, progress: Progress) -> None:
    check_space(cache, BUILD_SPACE, "free some, or choose another place by XDG_CACHE_HOME")
    started = time.monotonic()
    progress(f"building the hosts' root file system (Debian {SUITE}, once, about a minute)")
    with tempfile.TemporaryDirectory(prefix=".build-", dir=cache, ignore_cleanup_errors=True) as work:
        sources = Path(work, "sources.list")
        sources.write_text(apt_sources())
        log = cache / "build.log"
        with open(log, "wb") as output:
            code = subprocess.run(
                _command(Path(work, "root"), sources), stdout=output, stderr=output, umask=0o022
            ).returncode
        if code:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
            raise LabError(f"mmdebstrap failed ({code}); the end of {log}:\n{tail}")
        Path(work, "root").rename(target)
    progress(f"root file system built in {time.monotonic() - started:.0f} s")


def _command(root: Path, sources: Path) -> list[str]:
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
    command += ['--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"', *_apt_options()]
    command += [f"--dpkgopt=path-exclude={each}" for each in RECIPE["exclude"]]
    command += [f"--customize-hook={hook}" for hook in _HOOKS]
    return [*command, f"--include={','.join(RECIPE['include'])}", SUITE, str(root), str(sources)]


def _apt_options() -> Iterator[str]:
    """The machine's own proxy settings, which mmdebstrap does not read by itself."""
    for line in run(["apt-config", "dump"]).stdout.splitlines():
        if line.startswith("Acquire::") and "::proxy " in line.lower() and not line.endswith('"";'):
            yield f"--aptopt={line}"


def apt_sources() -> str:
    """One-line apt sources for our suite, from the archives of the machine's own apt sources.

    A machine of another Debian release serves as well: its archive holds our suite too.
    """
    asked = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages"])
    lines = set()
    for line in asked.stdout.splitlines():
        uri, codename, component = line.split()
        _, dash, pocket = codename.partition("-")
        if component == "main" and pocket in ("", "updates", "security"):
            lines.add(f"deb {uri} {SUITE}{dash}{pocket} main")
    if not any(f" {SUITE} " in line for line in lines):
        raise LabError("the machine's apt sources name no Debian archive; run `apt-get update`, or add one")
    return "\n".join(sorted(lines)) + "\n"


@contextlib.contextmanager
def in_use(root: Path) -> Iterator[None]:
    """Hold a root file system against removal while a host runs on it."""
    with open(f"{root}.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield


def _remove_stale(cache: Path, keep: Path) -> None:
    """Interrupted builds, and root file systems of older recipes on which no host runs."""
    for path in cache.glob(".build-*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in cache.glob("rootfs-*[0-9a-f]"):
        if path == keep:
            continue
        lock = Path(f"{path}.lock")
        with open(lock, "w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(path, ignore_errors=True)
            lock.unlink(missing_ok=True)
