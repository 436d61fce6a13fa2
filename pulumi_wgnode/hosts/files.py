"""Regular files of a host: their metadata and their content."""

from __future__ import annotations

from collections.abc import Sequence

from pulumi_wgnode.hosts.host import File, Result
from pulumi_wgnode.hosts.query import Query

NO_FILE = 66
STAT = """for p; do [ -f "$p" ] && [ ! -L "$p" ] || continue
printf '%s %s %s\\n' "$(sha256sum <"$p" | cut -c1-64)" "$(stat -c '%s %a %U %G' -- "$p")" "$p"; done"""
READ = f'[ -f "$1" ] || exit {NO_FILE}; exec cat -- "$1"'


def metadata(paths: Sequence[str]) -> Query[dict[str, File]]:
    """By path, of those that exist as regular files."""
    return Query(["sh", "-c", STAT, "stat", *paths], _files, check=True)


def content(path: str) -> Query[str | None]:
    """A text; None where there is no such file."""
    return Query(["sh", "-c", READ, "read", path], lambda said: said.stdout if said.code == 0 else None)


def described(sha256: str, mode: int = 0o644, owner: str = "root") -> str:
    """A file as it is compared: "sha256:... 0644 root:root"; group and user have the same name."""
    return f"sha256:{sha256} {mode:04o} {owner}:{owner}"


def describe(file: File) -> str:
    return f"sha256:{file.sha256} {file.mode:04o} {file.owner}:{file.group}"


def _files(said: Result) -> dict[str, File]:
    found = {}
    for line in said.stdout.splitlines():
        sha256, size, mode, owner, group, path = line.split(" ", 5)
        found[path] = File(sha256, int(size), int(mode, 8), owner, group)
    return found
