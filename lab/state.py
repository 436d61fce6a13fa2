"""Where a lab lives and who may change it: its directory, its inventory, and one lock for each lab name."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.process import ours

REGISTRY = Path("/run/wgnode-lab")
DEFAULT_HOME = Path("/var/lib/wgnode/lab")


def registered(name: str) -> Path | None:
    """The directory of the lab of that name, where `up` was run since the machine booted."""
    with contextlib.suppress(FileNotFoundError):
        if text := (REGISTRY / name).read_text():
            return Path(text)
    return None


def directory_of(name: str, wanted: Path | None) -> Path:
    """The lab's directory: the wanted one, else where it runs, else the default."""
    if wanted:
        return wanted.absolute()
    return registered(name) or DEFAULT_HOME / name


def names() -> list[str]:
    """Labs known on this machine: running, half made, or left over from before a reboot."""
    running = [each.name for each in REGISTRY.iterdir()] if REGISTRY.is_dir() else []
    kept = [each.name for each in DEFAULT_HOME.iterdir() if (each / "hosts").is_dir()] if DEFAULT_HOME.is_dir() else []
    return sorted({*running, *kept})


@contextlib.contextmanager
def locked(name: str, directory: Path, waiting: Callable[[], None]) -> Iterator[int]:
    """Hold the lab against every other `up` and `down`; yields the descriptor, which child processes inherit."""
    descriptor = _acquire(REGISTRY / name, waiting)
    try:
        here = registered(name)
        if here and here != directory:
            raise LabError(
                f"lab {name!r} lives in {here}, not in {directory}; "
                f"leave out --dir, choose another --name, or take it down first: {ours(f'down --name {name}')}"
            )
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(path: Path, waiting: Callable[[], None]) -> int:
    while True:
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir(mode=0o755)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:  # `down` of the last other lab has just removed the folder
            continue
        os.set_inheritable(descriptor, True)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # `down` removes the file while others wait for it: only the file that bears the name counts.
        if path.exists() and path.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
        os.close(descriptor)


def register(name: str, directory: Path) -> None:
    """Remember where the lab lives; the caller holds the lock."""
    (REGISTRY / name).write_text(str(directory))


def forget(name: str) -> None:
    """Remove what `register` and `locked` made; the caller holds the lock."""
    (REGISTRY / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        REGISTRY.rmdir()


def save(directory: Path, inventory: dict[str, Any]) -> None:
    """Write lab.json in one step: it exists when the lab is ready, and is never half written."""
    fresh = directory / ".lab.json.new"
    fresh.write_text(json.dumps(inventory, indent=2) + "\n")
    fresh.rename(directory / "lab.json")


def load(name: str, directory: Path) -> dict[str, Any]:
    """The inventory of a lab that is up."""
    try:
        inventory: dict[str, Any] = json.loads((directory / "lab.json").read_text())
    except FileNotFoundError as error:
        raise LabError(f"lab {name!r} is not up; start it: {ours(f'up --name {name}')}") from error
    return inventory
