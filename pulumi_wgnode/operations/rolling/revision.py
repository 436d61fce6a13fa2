"""The commit that a plan is of, and the one that an undo goes back to."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pulumi_wgnode.errors import ExplainedError

TIMEOUT = 60.0
"""Seconds for one question to git."""


class RevisionError(ExplainedError):
    """No plan can be bound to what is checked out; the text says why."""


@dataclass(frozen=True)
class Revision:
    """Both are full ids."""

    commit: str
    base: str


def read(folder: Path, base: str, own: Iterable[Path] = ()) -> Revision:
    """Raises RevisionError for a folder with changes that no commit has, and for a `base` that is none. `own` are files
    that the rollout itself writes, wherever they lie."""
    if dirty := list(_dirty(folder, {path.resolve() for path in own})):
        shown = ", ".join(dirty[:3])
        more = "" if len(dirty) <= 3 else ", …"
        raise RevisionError(f"there are changes that no commit has ({shown}{more}): commit them, or put them away")
    return Revision(commit(folder, "HEAD"), commit(folder, base))


def _dirty(folder: Path, own: Collection[Path]) -> Iterator[str]:
    """Paths from the repository's root."""
    said = _git(folder, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", ".")
    if not said:
        return
    root = Path(_git(folder, "rev-parse", "--show-toplevel").removesuffix("\n")).resolve()
    for entry in said.split("\0"):
        state, path = entry[:2], entry[3:]
        if path and not (state == "??" and root / path in own):
            yield path


def commit(folder: Path, revision: str) -> str:
    """Its full id. Raises RevisionError."""
    try:
        return _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()
    except RevisionError:
        raise RevisionError(
            f"there is no commit {revision!r} here to go back to; name the one that is deployed by --base (a shallow"
            " clone has too few: fetch more)"
        ) from None


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False, timeout=TIMEOUT
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise RevisionError(f"`git {arguments[0]}`: {error}") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise RevisionError(f"`git {arguments[0]}`: {said}")
    return done.stdout
