"""Where set-up keeps what it downloads or builds: one directory per user, shared by all clones."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.progress import say


def cache_directory() -> Path:
    """`$XDG_CACHE_HOME/wgnode`, by default `~/.cache/wgnode`; a relative XDG_CACHE_HOME is ignored, as XDG says."""
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".cache"
    return base / "wgnode"


def install_once(target: Path, what: str, make: Callable[[Path], None]) -> Path:
    """Return `target`, made by `make(temporary directory)` if it is not there yet.

    The directory appears under its name only when whole (a rename), and only one process makes it while others wait;
    whatever `make` raises leaves nothing behind.
    """
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(f".{target.name}.lock"), what):
        if not target.is_dir():
            _make_and_rename(target, make)
    return target


def _make_and_rename(target: Path, make: Callable[[Path], None]) -> None:
    for left_by_a_killed_run in target.parent.glob(f".{target.name}.part-*"):
        shutil.rmtree(left_by_a_killed_run, ignore_errors=True)
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}.part-", dir=target.parent))
    try:
        part.chmod(0o755)  # mkdtemp gives 0700, and another user may run what root set up
        make(part)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _locked(path: Path, what: str) -> Iterator[None]:
    """Hold an exclusive lock; the kernel releases it however the process ends."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is installing {what}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
