"""`image.lock`: the Debian packages of the appliance, by name, version, architecture, SHA-256 and place in the pool.

Text without any host: the mirror is the building machine's own. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SHA256 = re.compile(r"[0-9a-f]{64}")
HEADER = """\
# The Debian packages that the appliance image is made of; `wgnode image lock` renews them against the
# distribution's signed release files. name version architecture sha256 path
"""


class LockError(ValueError):
    """image.lock can't be read; the text says which line."""


@dataclass(frozen=True, order=True)
class Package:
    """One .deb. `path` is relative to a mirror's root ("pool/main/p/python3.13/...deb")."""

    name: str
    version: str
    architecture: str
    sha256: str
    path: str

    @property
    def file_name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


def parse(text: str) -> list[Package]:
    """Packages, sorted. Raises LockError."""
    packages = [
        _parse_line(number, line.split())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    names = [package.name for package in packages]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise LockError(f"image.lock: {', '.join(twice)} is listed twice")
    if not packages:
        raise LockError("image.lock: no package in it; write it anew with `wgnode image lock`")
    return sorted(packages)


def render(packages: list[Package]) -> str:
    lines = (f"{p.name} {p.version} {p.architecture} {p.sha256} {p.path}\n" for p in sorted(packages))
    return HEADER + "".join(lines)


def changes(old: list[Package], new: list[Package]) -> list[str]:
    """What a renewal changed, one line a package, for a person."""
    before = {package.name: package for package in old}
    after = {package.name: package for package in new}
    lines = [f"+ {name} {after[name].version}" for name in sorted(after.keys() - before.keys())]
    lines += [f"- {name} {before[name].version}" for name in sorted(before.keys() - after.keys())]
    for name in sorted(before.keys() & after.keys()):
        if before[name].version != after[name].version:
            lines.append(f"~ {name} {before[name].version} -> {after[name].version}")
        elif before[name].sha256 != after[name].sha256:
            lines.append(f"~ {name} {after[name].version}: the same version with other bytes")
    return lines


def _parse_line(number: int, words: list[str]) -> Package:
    if len(words) != 5:
        raise LockError(f"image.lock:{number}: {len(words)} words instead of name, version, architecture, sha256, path")
    package = Package(*words)
    if not SHA256.fullmatch(package.sha256):
        raise LockError(f"image.lock:{number}: {package.name}: {package.sha256!r} is no SHA-256")
    parts = package.path.split("/")
    if parts[0] != "pool" or ".." in parts or not package.path.endswith(".deb"):
        raise LockError(f"image.lock:{number}: {package.name}: {package.path!r} is no pool/...deb path")
    return package
