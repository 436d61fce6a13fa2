"""The project as another commit has it, beside the one that is checked out, which nobody should have to change.

What git does not have (the virtual environment, built images, what `.gitignore` names) is the present project's, by
links: a commit is its stack files, its program and what they name, run by the packages that are installed.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pulumi_wgnode.operations.rolling.revision import TIMEOUT, RevisionError


@contextmanager
def of(folder: Path, commit: str) -> Iterator[Path]:
    """The project's folder as `commit` has it, gone afterwards. Raises RevisionError."""
    root = Path(_git(folder, "rev-parse", "--show-toplevel").decode().strip())
    inside = folder.resolve().relative_to(root.resolve())
    with tempfile.TemporaryDirectory(prefix="wgnode-rollout-") as scratch:
        with tarfile.open(fileobj=io.BytesIO(_git(root, "archive", "--format=tar", commit))) as archive:
            archive.extractall(scratch)
        _link_the_rest(root, Path(scratch))
        made = Path(scratch) / inside
        if not (made / "Pulumi.yaml").is_file():
            raise RevisionError(f"commit {commit[:12]} has no Pulumi.yaml in {inside}: it is no way back")
        yield made


def _link_the_rest(root: Path, made: Path) -> None:
    """All that lies in the project and is not git's; what the commit has itself stays as the commit has it."""
    for name in _git(root, "ls-files", "--others", "--directory", "-z").decode().split("\0"):
        target, link = root / name.rstrip("/"), made / name.rstrip("/")
        if name and target.name != "__pycache__" and link.parent.is_dir() and not link.exists():
            link.symlink_to(target.resolve())


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False, timeout=TIMEOUT)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise RevisionError(f"`git {arguments[0]}`: {error}") from None
    if done.returncode:
        raise RevisionError(f"`git {arguments[0]}`: {' '.join(done.stderr.decode(errors='replace').split())}")
    return done.stdout
